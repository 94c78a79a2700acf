//! The traits to implement.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_protocol::Payload;

use crate::context::Context;
use crate::error::ServiceError;

/// A future that can be sent between threads and borrows for `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service with typed input and output.
///
/// Input that does not fit is answered 400 `I/O processing error` before [`call`](Self::call) is reached. One instance
/// serves all calls, many at once; it must not block its thread: wrap blocking work in `tokio::task::spawn_blocking`.
///
/// # Cancel safety
/// The future is dropped at any await when the deadline passes or the caller disconnects. Whatever must not be left
/// half done belongs into a task of its own.
pub trait Service: Send + Sync + 'static {
    /// What the service takes. `()` ignores nothing: use [`serde::de::IgnoredAny`] to take anything.
    type Input: DeserializeOwned + Send;
    /// What the service returns. `()` is sent as `{}`.
    type Output: Serialize + Send;

    /// Handles one call.
    fn call(
        &self,
        ctx: Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, ServiceError>> + Send;
}

/// A service that handles its input unparsed: an echo, a gateway, a forwarder.
pub trait PayloadService: Send + Sync + 'static {
    /// Handles one call. The same rules as for [`Service::call`].
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>>;
}

/// A typed service as a host calls it.
pub(crate) struct Typed<S>(pub(crate) S);

impl<S: Service> PayloadService for Typed<S> {
    fn call(&self, ctx: Context, input: Payload) -> BoxFuture<'_, Result<Payload, ServiceError>> {
        Box::pin(async move {
            let codec = input.codec();
            let parsed = input.parse()?;
            drop(input);
            let output = self.0.call(ctx, parsed).await?;
            Payload::from_serialize(codec, &output).map_err(ServiceError::internal)
        })
    }
}

/// A closure as a service.
pub(crate) struct Closure<F, I>(pub(crate) F, pub(crate) std::marker::PhantomData<fn(I)>);

impl<F, I, O, Fut> Service for Closure<F, I>
where
    F: Fn(Context, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ServiceError>> + Send,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send,
{
    type Input = I;
    type Output = O;

    fn call(&self, ctx: Context, input: I) -> impl Future<Output = Result<O, ServiceError>> + Send {
        (self.0)(ctx, input)
    }
}
