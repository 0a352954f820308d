//! Memory of this process.

/// Largest resident set of this process so far, in bytes; `None` where the system does not tell (it does on Linux).
///
/// It never falls, so two things are compared by running each in a process of its own.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
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
