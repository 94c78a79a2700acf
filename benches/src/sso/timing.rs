//! Refused logins, each for another reason, in turns: whether the time they take tells which.

use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use spanwire_crypto::{KeyRing, Secret, totp};
use spanwire_sso::store::KeyValueUserStore;
use spanwire_sso::{Call, Login, NewUser, Settings, Sso};
use spanwire_store::MemoryStore;

use crate::Result;
use crate::table::Figure;

const PASSWORD: &str = "correct horse battery staple";

pub(super) fn measure(tries: u32) -> Result<Vec<Figure>> {
    let mut settings = Settings::default();
    // Nobody is slowed down here: that is measured by the tests.
    (settings.login.failures, settings.login.failures_per_address) = (u32::MAX - 1, u32::MAX);
    let hash = settings.scheme().measure(5)?;
    let store = Arc::new(KeyValueUserStore::new(Arc::new(MemoryStore::new())));
    let sso = Sso::open(store, Arc::new(KeyRing::ephemeral()?), settings.resolve(false))?;
    let make = |name: &str, change: fn(&mut NewUser)| {
        let mut new = NewUser {
            username: name.to_owned(),
            password: Some(Secret::new(PASSWORD.to_owned())),
            ..NewUser::default()
        };
        change(&mut new);
        sso.create_user_as_operator(&Call::internal("bench"), &new, true)
    };
    make("wrong", |_| {})?;
    make("locked", |new| new.is_locked = true)?;
    make("unconfirmed", |new| new.sign_up_status = Some("before_confirmation".to_owned()))?;
    make("code", |new| (new.is_totp_enabled, new.totp_key) = (true, totp::new_key().ok()))?;
    let classes = [
        ("unknown user", "nobody", "a wrong one"),
        ("wrong password", "wrong", "a wrong one"),
        ("locked", "locked", PASSWORD),
        ("not confirmed", "unconfirmed", PASSWORD),
        ("wrong code", "code", PASSWORD),
    ];
    eprintln!("{tries} logins of each class, one hash takes {hash:.1?}");
    let mut histograms = Vec::new();
    for _ in classes {
        histograms.push(Histogram::<u64>::new(4)?);
    }
    for number in 0..tries {
        for ((_, username, password), histogram) in classes.iter().zip(&mut histograms) {
            let login = Login {
                username: (*username).to_owned(),
                password: Secret::new((*password).to_owned()),
                totp_code: Some(format!("{:06}", number % 1_000_000)),
                ..Login::default()
            };
            // Another address each time, and another key of throttling with it.
            let from = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            let call = Call::new("CRM", [from.into()]);
            let begun = Instant::now();
            let refused = sso.login(&call, &login);
            histogram.record(u64::try_from(begun.elapsed().as_micros())?)?;
            if refused.is_ok() {
                return Err("a login that should be refused was not".into());
            }
        }
    }
    let median = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.5) as f64 / 1_000.0;
    let unknown = histograms.first().map_or(0.0, median);
    let figures = classes.iter().zip(&histograms).map(|((name, ..), histogram)| {
        let mut figure = Figure::new("sso", *name, format!("{tries} logins"));
        (figure.p50_ms, figure.p99_ms) =
            (Some(median(histogram)), Some(histogram.value_at_quantile(0.99) as f64 / 1_000.0));
        figure.ratio = Some(median(histogram) / unknown);
        let apart = (median(histogram) - unknown).abs() / (hash.as_secs_f64() * 1_000.0);
        figure.at_most("apart from an unknown user, of a hash", Some(apart), 0.02);
        figure
    });
    Ok(figures.collect())
}
