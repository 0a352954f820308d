//! The rows of `metrics.jsonl` in the formats of other tools.
//!
//! | file | contents |
//! |---|---|
//! | `files` | writing the files after every epoch |
//! | `csv` | `metrics.csv` |
//! | `tensorboard` | the scalars, as TensorBoard events |
//! | `event` | TensorBoard's messages, in protocol-buffer encoding |
//! | `record` | the frames around them, TensorFlow's TFRecord |

mod csv;
mod event;
mod files;
mod format;
mod record;
mod tensorboard;

pub use files::MetricFiles;
pub use format::LogFormat;
