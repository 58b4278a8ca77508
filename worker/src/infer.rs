//! The model's own thread: inference never runs on the async runtime. Another version takes its
//! place between two batches.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ::metrics::{counter, histogram};
use anyhow::Context;
use models::{Forecaster, Input, Output};
use tokio::sync::{mpsc, oneshot};
use tracing::info;
use weather::ModelId;

use crate::health::Health;
use crate::metrics;
use crate::windows::Remembered;

/// How long the model may take over a batch: a hundred times what the largest takes on a slow machine. A
/// worker that waited for ever would keep its partitions, since its leases are renewed beside it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A batch for the model. The windows travel with it and come back: nothing is copied.
struct Request {
    stations: Vec<Remembered>,
    reply: oneshot::Sender<Answer>,
}

/// What came of a batch.
pub(crate) struct Answer {
    /// The version that answered: all of the batch by the same one.
    pub(crate) model: ModelId,
    /// The stations of the request.
    pub(crate) stations: Vec<Remembered>,
    /// One per station, in order.
    pub(crate) outputs: Vec<Output>,
}

/// What the thread is told.
enum Order {
    Predict(Request),
    /// Loaded and checked elsewhere: taking it over costs nothing.
    Swap(Box<Forecaster>),
}

/// The model, on a thread of its own, which ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Inference {
    // One batch is in progress at a time; the pipeline waits for it before it makes another.
    orders: mpsc::Sender<Order>,
    patience: Duration,
}

/// Starts the thread. It is the one that says which version serves, since it is the one that knows.
pub(crate) fn start(mut forecaster: Forecaster, backend: String, health: Arc<Health>) -> anyhow::Result<Inference> {
    let (orders, mut received) = mpsc::channel::<Order>(1);
    let show = move |model: &ModelId, serves: bool| {
        metrics::serves(model, &backend, serves);
        health.set_model(model);
    };
    show(forecaster.id(), true);
    thread::Builder::new()
        .name("inference".to_owned())
        .spawn(move || {
            while let Some(order) = received.blocking_recv() {
                match order {
                    Order::Predict(request) => predict(&mut forecaster, request),
                    Order::Swap(next) => {
                        let before = std::mem::replace(&mut forecaster, *next);
                        show(before.id(), false);
                        show(forecaster.id(), true);
                        counter!(metrics::SWAPS).increment(1);
                        info!(from = %before.id().version, to = %forecaster.id().version, "another model version serves");
                    }
                }
            }
        })
        .context("the inference thread did not start")?;
    Ok(Inference { orders, patience: PATIENCE })
}

fn predict(forecaster: &mut Forecaster, Request { stations, reply }: Request) {
    let begun = Instant::now();
    let inputs: Vec<Input<'_>> = stations.iter().map(|r| Input { window: &r.window, station: &r.station }).collect();
    let outputs = forecaster.predict(&inputs);
    histogram!(metrics::INFERENCE).record(begun.elapsed().as_secs_f64());
    // Nobody waits any more when the worker is being torn down.
    let _ = reply.send(Answer { model: forecaster.id().clone(), stations, outputs });
}

impl Inference {
    /// Has another version answer from the next batch on.
    pub(crate) async fn swap(&self, next: Forecaster) {
        // A thread that has died is noticed by whoever waits for a forecast.
        let _ = self.orders.send(Order::Swap(Box::new(next))).await;
    }

    /// One output per station, in order, with the stations given back.
    ///
    /// # Errors
    /// When the thread has died or hangs; the worker must stop, since windows went with it, and leave its
    /// partitions to others.
    pub(crate) async fn predict(&self, stations: Vec<Remembered>) -> anyhow::Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Predict(Request { stations, reply });
        self.orders.send(order).await.ok().context("the inference thread has died")?;
        tokio::time::timeout(self.patience, answer)
            .await
            .with_context(|| format!("the model has not answered for {:?}", self.patience))?
            .context("the inference thread died over this batch")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_that_hangs_stops_the_worker() {
        let (orders, mut received) = mpsc::channel(1);
        let inference = Inference { orders, patience: Duration::from_millis(20) };
        // Takes the order, and neither answers nor dies.
        let hung = tokio::spawn(async move {
            let _order = received.recv().await;
            std::future::pending::<()>().await;
        });
        let error = inference.predict(Vec::new()).await.err().unwrap();
        assert!(format!("{error:#}").contains("has not answered for 20ms"), "{error:#}");
        hung.abort();
    }
}
