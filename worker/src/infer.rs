//! The model's own thread: inference never runs on the async runtime.

use std::thread;
use std::time::Instant;

use ::metrics::histogram;
use anyhow::Context;
use models::{Forecaster, Input, Output};
use tokio::sync::{mpsc, oneshot};
use weather::ModelId;

use crate::metrics;
use crate::windows::Remembered;

/// A batch for the model. The windows travel with it and come back: nothing is copied.
struct Request {
    stations: Vec<Remembered>,
    reply: oneshot::Sender<(Vec<Remembered>, Vec<Output>)>,
}

/// The model, on a thread of its own.
pub(crate) struct Inference {
    model: ModelId,
    // One batch is in progress at a time; the pipeline waits for it before it makes another.
    requests: mpsc::Sender<Request>,
}

/// Starts the thread; it ends when the [`Inference`] is dropped.
pub(crate) fn start(mut forecaster: Forecaster) -> anyhow::Result<Inference> {
    let (requests, mut received) = mpsc::channel::<Request>(1);
    let model = forecaster.id().clone();
    thread::Builder::new()
        .name("inference".to_owned())
        .spawn(move || {
            while let Some(Request { stations, reply }) = received.blocking_recv() {
                let begun = Instant::now();
                let inputs: Vec<Input<'_>> =
                    stations.iter().map(|r| Input { window: &r.window, station: &r.station }).collect();
                let outputs = forecaster.predict(&inputs);
                histogram!(metrics::INFERENCE).record(begun.elapsed().as_secs_f64());
                // Nobody waits any more when the worker is being torn down.
                let _ = reply.send((stations, outputs));
            }
        })
        .context("the inference thread did not start")?;
    Ok(Inference { model, requests })
}

impl Inference {
    /// The model that answers.
    pub(crate) const fn model(&self) -> &ModelId {
        &self.model
    }

    /// One output per station, in order, with the stations given back.
    ///
    /// # Errors
    /// When the thread has died; the worker must stop, since windows went with it.
    pub(crate) async fn predict(&self, stations: Vec<Remembered>) -> anyhow::Result<(Vec<Remembered>, Vec<Output>)> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { stations, reply }).await.ok().context("the inference thread has died")?;
        answer.await.context("the inference thread died over this batch")
    }
}
