//! `doctor`: what this build and this machine support.

use anyhow::Result;
use burn::tensor::Tensor;
use burn_forward::data::DataFolders;
use burn_forward::device;
use burn_forward_gnn::data::{GraphConfig, GraphName};
use burn_forward_train::images::{DataConfig, DataName};

use crate::args::DoctorArgs;
use crate::output::print_line;

pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    print_line(format_args!("burn-forward {}, Burn {}", super::version(), burn_forward::BURN_VERSION))?;
    let cpus = std::thread::available_parallelism()?;
    print_line(format_args!("{} {}, {cpus} cpus", std::env::consts::OS, std::env::consts::ARCH))?;
    print_line("\ndevices")?;
    for name in device::names() {
        if name.ends_with(":N") {
            print_line(format_args!("  {name:<16} compiled in (N is the number of the device)"))?;
            continue;
        }
        // A backend without its driver panics inside Burn; the panic is part of the result.
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let sum = std::panic::catch_unwind(|| -> Option<f32> {
            let d = device::parse(name).ok()?;
            let x = Tensor::<2>::ones([8, 8], &d);
            x.clone().matmul(x).sum().try_into_scalar::<f32>().ok()
        });
        std::panic::set_hook(quiet);
        let works = matches!(sum, Ok(Some(s)) if s == 512.0);
        let state = if works { "works" } else { "compiled in, but a matrix product fails" };
        print_line(format_args!("  {name:<16} {state}"))?;
    }
    print_line("\ndata sets")?;
    let folders = DataFolders::new(None, args.data.as_deref());
    print_line(format_args!("  {:<16} embedded", "digits"))?;
    for name in [DataName::Mnist, DataName::FashionMnist, DataName::Cifar10, DataName::Cifar100] {
        let config = DataConfig::new(name);
        let state = match (config.folder(&folders), config.find_files(&folders)) {
            (Ok(folder), Ok(())) => format!("found in {}", folder.display()),
            // An incomplete download, or a folder for other files.
            (Ok(_), Err(error)) => format!("incomplete: {error}"),
            (Err(_), _) => format!("not in {}; {}", folders.root()?.join(name.name()).display(), name.origin()),
        };
        print_line(format_args!("  {:<16} {state}", name.name()))?;
    }
    for name in [GraphName::Cora, GraphName::CoraMl, GraphName::Github] {
        let folder = folders.root()?.join(name.folder().unwrap_or_default());
        let state = match folder.is_dir().then(|| GraphConfig::new(name).read(&folders)) {
            Some(Ok(_)) => format!("found in {}", folder.display()),
            Some(Err(error)) => format!("incomplete: {error}"),
            None => format!("not in {}", folder.display()),
        };
        print_line(format_args!("  {:<16} {state}", name.name()))?;
    }
    Ok(())
}
