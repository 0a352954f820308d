//! `doctor`: what this build and this machine can do.

use anyhow::Result;
use burn::tensor::Tensor;
use burn_forward::data::{DataConfig, DataFolders, DataName};
use burn_forward::device;

use crate::args::DoctorArgs;

pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    println!("burn-forward {}, Burn 0.22.1", env!("CARGO_PKG_VERSION"));
    println!("{} {}, {} cpus", std::env::consts::OS, std::env::consts::ARCH, std::thread::available_parallelism()?);
    println!("\ndevices");
    for name in device::names() {
        if name.ends_with(":N") {
            println!("  {name:<16} compiled in (N is the number of the device)");
            continue;
        }
        // A backend without its driver panics inside Burn; that is an answer too.
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let sum = std::panic::catch_unwind(|| -> Option<f32> {
            let d = device::parse(name).ok()?;
            let x = Tensor::<2>::ones([8, 8], &d);
            x.clone().matmul(x).sum().try_into_scalar::<f32>().ok()
        });
        std::panic::set_hook(quiet);
        let works = matches!(sum, Ok(Some(s)) if s == 512.0);
        println!("  {name:<16} {}", if works { "works" } else { "compiled in, but a matrix product failed on it" });
    }
    println!("\ndata sets");
    let folders = DataFolders::new(None, args.data.as_deref());
    for name in [DataName::Mnist, DataName::FashionMnist, DataName::Cifar10, DataName::Cifar100] {
        let folder = folders.resolve(&DataConfig::new(name))?;
        let state = if folder.is_dir() { "found" } else { "not there; get it from" };
        let origin = if folder.is_dir() { String::new() } else { format!(" {}", name.origin()) };
        println!("  {:<16} {state} {}{origin}", name.name(), folder.display());
    }
    println!("  {:<16} embedded", "digits");
    Ok(())
}
