//! Devices by name, among the backends that are compiled in.

use burn::tensor::Device;
pub use burn_forward_kernels::device::autodiff_leaf;

use crate::{Error, Result};

/// Names of the devices that this build accepts, starting with the default.
pub fn names() -> Vec<&'static str> {
    vec![
        #[cfg(feature = "flex")]
        "flex",
        #[cfg(feature = "ndarray")]
        "ndarray",
        #[cfg(feature = "wgpu")]
        "wgpu",
        #[cfg(feature = "wgpu")]
        "wgpu:cpu",
        #[cfg(feature = "vulkan")]
        "vulkan",
        #[cfg(feature = "metal")]
        "metal",
        #[cfg(feature = "tch")]
        "libtorch",
        #[cfg(feature = "tch")]
        "libtorch-cuda:N",
        #[cfg(feature = "cuda")]
        "cuda:N",
        #[cfg(feature = "rocm")]
        "rocm:N",
        #[cfg(feature = "cpu")]
        "cpu",
    ]
}

/// Kinds of device, and the Cargo feature that enables each.
const FEATURES: [(&str, &str); 10] = [
    ("flex", "flex"),
    ("ndarray", "ndarray"),
    ("wgpu", "wgpu"),
    ("vulkan", "vulkan"),
    ("metal", "metal"),
    ("libtorch", "tch"),
    ("libtorch-cuda", "tch"),
    ("cuda", "cuda"),
    ("rocm", "rocm"),
    ("cpu", "cpu"),
];

/// The device called `name`, such as `flex`, `ndarray`, `wgpu`, `libtorch` or `cuda:0`, without autodiff.
///
/// # Errors
/// [`Error::Device`], which names the feature to enable, or the available devices.
pub fn parse(name: &str) -> Result<Device> {
    let (kind, index) = name.split_once(':').unwrap_or((name, ""));
    let _number = || -> Result<usize> {
        if index.is_empty() {
            return Ok(0);
        }
        index.parse().map_err(|_| refuse(name, format!("'{index}' is not a device number")))
    };
    match kind {
        #[cfg(feature = "flex")]
        "flex" if index.is_empty() => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        "ndarray" if index.is_empty() => {
            #[allow(deprecated)]
            // Burn has deprecated this backend since 0.22; it is supported here as long as Burn ships it.
            Ok(Device::ndarray())
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(gpu_kind(name, index)?)),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(gpu_kind(name, index)?)),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(gpu_kind(name, index)?)),
        #[cfg(feature = "tch")]
        "libtorch" if index.is_empty() => {
            #[allow(deprecated)] // like ndarray
            Ok(Device::libtorch())
        }
        #[cfg(feature = "tch")]
        "libtorch-cuda" => {
            #[allow(deprecated)] // like ndarray
            Ok(Device::libtorch_cuda(_number()?))
        }
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(_number()?)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(_number()?)),
        #[cfg(feature = "cpu")]
        "cpu" if index.is_empty() => Ok(Device::cpu()),
        _ => Err(refuse(
            name,
            match FEATURES.iter().find(|(k, _)| *k == kind) {
                Some((_, feature)) if !names().iter().any(|n| n.starts_with(kind)) => {
                    format!("not compiled in; build with `--features {feature}`")
                }
                _ => "no such device".into(),
            },
        )),
    }
}

#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "metal"))]
fn gpu_kind(name: &str, index: &str) -> Result<burn::tensor::DeviceKind> {
    use burn::tensor::DeviceKind;
    match index {
        "" => Ok(DeviceKind::DefaultDevice),
        "cpu" => Ok(DeviceKind::Cpu),
        n => n
            .parse()
            .map(DeviceKind::DiscreteGpu)
            .map_err(|_| refuse(name, format!("'{n}' is neither 'cpu' nor a device number"))),
    }
}

fn refuse(name: &str, reason: String) -> Error {
    Error::Device { asked: name.into(), reason, available: names().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plain_name_of_this_build_parses() {
        for name in names().into_iter().filter(|n| ["flex", "ndarray"].contains(n)) {
            assert!(parse(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        assert_eq!(parse("rocm:0").unwrap_err().to_string().contains("--features rocm"), !cfg!(feature = "rocm"));
        assert!(parse("flex:7").unwrap_err().to_string().contains("no such device"));
        assert!(parse("gpu").unwrap_err().to_string().contains("compiled in: "));
    }
}
