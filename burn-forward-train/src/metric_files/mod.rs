//! The rows of `metrics.jsonl` in the formats of other tools.
//!
//! | file | what it does |
//! |---|---|
//! | `files` | writes them, after every epoch |
//! | `csv` | `metrics.csv` |
//! | `tensorboard` | which scalars there are, as TensorBoard's events |
//! | `event` | TensorBoard's messages, in the encoding of protocol buffers |
//! | `record` | the frames around them, TensorFlow's TFRecord |

mod csv;
mod event;
mod files;
mod format;
mod record;
mod tensorboard;

pub use files::MetricFiles;
pub use format::LogFormat;
