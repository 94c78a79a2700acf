use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spanwire_protocol::Codec;

use super::*;
use crate::{PayloadService, Service, Source};

#[derive(Deserialize)]
struct Sum {
    numbers: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct Total {
    total: i64,
}

struct Adder;

impl Service for Adder {
    type Input = Sum;
    type Output = Total;

    async fn call(&self, _: Context, input: Sum) -> Result<Total, ServiceError> {
        Ok(Total { total: input.numbers.iter().sum() })
    }
}

fn ports() -> Ports {
    let registry = Registry::new();
    registry.register("add", Adder);
    registry.register_fn("fails", |_: Context, _: Value| async {
        Err::<(), _>(ServiceError::internal("disk on fire"))
    });
    registry.register_fn("panics", |_: Context, _: Value| async {
        panic!("a defect") as Result<(), ServiceError>
    });
    registry.register_fn("panics-before-awaiting", |_: Context, input: Value| {
        assert!(input.is_string(), "a defect");
        async { Ok::<_, ServiceError>(()) }
    });
    registry.register_fn("never", |_: Context, _: Value| async {
        std::future::pending::<()>().await;
        Ok::<_, ServiceError>(())
    });
    registry.register_fn("circle", |ctx: Context, input: Value| async move {
        ctx.call::<_, Value>("circle", &input).await
    });
    registry.register_fn("twice", |ctx: Context, input: Value| async move {
        let once: Total = ctx.call("add", &input).await?;
        let context = json!({"service": ctx.service(), "type": ctx.channel_type().as_str()});
        Ok::<_, ServiceError>((once.total * 2, context))
    });
    Ports::new(registry.into())
}

async fn invoke(service: &str, input: Value) -> Result<Value, (u16, String)> {
    let input = Payload::from_serialize(Codec::Json, &input).unwrap();
    let mut call = Call::new(service, input);
    call.timeout = Duration::from_secs(2);
    let result = ports().invoke(call, Origin::internal()).await;
    result.map(|payload| payload.parse().unwrap()).map_err(|e| (e.status().0, e.into_message()))
}

#[tokio::test]
async fn typed_services_are_called_and_call_each_other() {
    assert_eq!(invoke("add", json!({"numbers": [1, 2]})).await, Ok(json!({"total": 3})));
    let expected = json!([6, {"service": "twice", "type": "internal"}]);
    assert_eq!(invoke("twice", json!({"numbers": [1, 2]})).await, Ok(expected));
}

#[tokio::test]
async fn wrong_input_is_400_with_the_fixed_text() {
    for input in [json!({}), json!({"numbers": "x"}), json!([])] {
        assert_eq!(invoke("add", input).await, Err((400, "I/O processing error".into())));
    }
    assert_eq!(invoke("twice", json!({})).await.unwrap_err().0, 400);
}

#[tokio::test(start_paused = true)]
async fn nothing_inside_leaks_out() {
    let internal = Err((500, "Internal server error".to_owned()));
    for service in ["fails", "panics", "panics-before-awaiting", "no.such.service", "circle"] {
        assert_eq!(invoke(service, json!(1)).await, internal, "{service}");
    }
    assert_eq!(invoke("never", json!(1)).await.unwrap_err().0, 504);
}

#[tokio::test]
async fn dropping_a_call_cancels_what_it_started() {
    struct Flag(Arc<AtomicBool>);
    impl PayloadService for Flag {
        fn call(
            &self,
            ctx: Context,
            _: Payload,
        ) -> crate::BoxFuture<'_, Result<Payload, ServiceError>> {
            let (flag, cancelled) = (Arc::clone(&self.0), ctx.cancellation().clone());
            tokio::spawn(async move {
                cancelled.cancelled().await;
                flag.store(true, Ordering::SeqCst);
            });
            Box::pin(std::future::pending())
        }
    }
    let flag = Arc::new(AtomicBool::new(false));
    let registry = Registry::new();
    registry.insert("flag", Source::Native, Arc::new(Flag(Arc::clone(&flag))));
    let ports = Ports::new(registry.into());
    let call = ports.invoke(Call::new("flag", Payload::null(Codec::Json)), Origin::internal());
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
    while !flag.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}
