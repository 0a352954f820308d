//! Memory of this process.

use std::sync::OnceLock;

/// Peak resident memory of this process in bytes; `None` if the system does not tell (Linux does).
///
/// It only decreases when it is [reset](reset_peak_memory). To compare two things, run each in its own process.
pub fn peak_memory_bytes() -> Option<u64> {
    field("VmHWM:")
}

/// Resident memory of this process in bytes; `None` if the system does not tell.
pub fn resident_memory_bytes() -> Option<u64> {
    field("VmRSS:")
}

/// Resident memory of this process that holds pages of files, including its program, in bytes; `None` if the system
/// does not tell.
pub(super) fn file_memory_bytes() -> Option<u64> {
    field("RssFile:")
}

static BEFORE_RESET: OnceLock<fn()> = OnceLock::new();

/// Registers `release` to be called whenever the peak of resident memory is [reset](reset_peak_memory), for an allocator that
/// keeps freed memory and returns it then. Only the first registration has an effect.
pub fn before_peak_memory_is_reset(release: fn()) {
    let _ = BEFORE_RESET.set(release);
}

/// Returns freed memory that this process still holds to the system, as far as its [allocator](before_peak_memory_is_reset)
/// supports it.
pub(super) fn release_freed_memory() {
    if let Some(release) = BEFORE_RESET.get() {
        release();
    }
}

/// Resets the peak of resident memory if the system allows it; [`peak_memory_bytes`] then covers what follows. Returns
/// whether it was reset.
pub fn reset_peak_memory() -> bool {
    release_freed_memory();
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Memory that a process can use here, in bytes: that of the machine, or less if a container limits it; `None` if the
/// system does not tell.
pub(super) fn machine_memory_bytes() -> Option<u64> {
    let machine = field_of("/proc/meminfo", "MemTotal:")?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(machine, |limit: u64| limit.min(machine)))
}

fn field(name: &str) -> Option<u64> {
    field_of("/proc/self/status", name)
}

fn field_of(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn grows_with_what_is_touched() {
        let before = super::peak_memory_bytes().unwrap();
        let block = std::hint::black_box(vec![1u8; 256 << 20]);
        assert!(super::peak_memory_bytes().unwrap() >= before.max(256 << 20), "{}", block.len());
    }
}
