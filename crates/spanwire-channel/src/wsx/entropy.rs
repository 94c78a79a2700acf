//! Identifiers from the operating system's random source.

use rand::Rng as _;
use spanwire_protocol::{CorrelationId, SessionToken};
use spanwire_session::Entropy;

/// Tokens straight from the operating system; correlation ids, which are no secrets, from a generator it seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn correlation_id(&mut self) -> CorrelationId {
        correlation_id()
    }

    fn token(&mut self) -> SessionToken {
        let mut random = [0; 16];
        // The generator is cryptographic too and was seeded by the same source, should that fail just now.
        if getrandom::fill(&mut random).is_err() {
            rand::rng().fill_bytes(&mut random);
        }
        SessionToken::from_random(random)
    }
}

/// A new correlation id.
#[must_use]
pub fn correlation_id() -> CorrelationId {
    let mut random = [0; 12];
    rand::rng().fill_bytes(&mut random);
    CorrelationId::from_random(random)
}
