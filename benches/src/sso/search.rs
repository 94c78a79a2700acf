//! Searching among many users, in this process, on a store on disk.

use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use spanwire_crypto::{KeyRing, Secret};
use spanwire_sso::store::KeyValueUserStore;
use spanwire_sso::{Call, NewUser, Search, Settings, Sso};
use spanwire_store::{Options, Store};

use crate::Result;
use crate::table::Figure;

pub(super) fn measure(users: u32) -> Result<Figure> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(Store::open(&folder.path().join("store"), Options::default())?);
    let mut settings = Settings::default();
    settings.hash.rounds = 1_000;
    let keys = Arc::new(KeyRing::ephemeral()?);
    let open = || {
        Sso::open(
            Arc::new(KeyValueUserStore::new(Arc::clone(&store) as _)),
            Arc::clone(&keys),
            settings.clone().resolve(false),
        )
    };
    let sso = open()?;
    eprintln!("{users} users are made");
    let hash = settings.scheme().hash(&Secret::new("correct horse battery staple".to_owned()))?;
    let begun = Instant::now();
    // Many at a time: they share their way to the disk.
    std::thread::scope(|scope| {
        let make = |thread: u32| {
            for number in (thread..users).step_by(THREADS as usize) {
                let new = NewUser {
                    username: format!("user.{number}"),
                    password_hash: Some(hash.clone()),
                    first_name: Some(format!("First{}", number % 977)),
                    last_name: Some(format!("Last{}", number % 9_973)),
                    email: Some(format!("user.{number}@example.com")),
                    ..NewUser::default()
                };
                sso.create_user_as_operator(&Call::internal("bench"), &new, false)
                    .map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        };
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || make(thread))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    let made = begun.elapsed();
    let begun = Instant::now();
    drop(sso);
    let sso = open()?;
    let opened = begun.elapsed();
    eprintln!("made within {made:.1?}; opening reads them within {opened:.1?}");
    let mut histogram = Histogram::<u64>::new(3)?;
    for number in 0..SEARCHES {
        let search = match number % 5 {
            0 => Search { last_name: Some(format!("last{}", number % 9_973)), ..Search::default() },
            1 => Search {
                display_name: Some(format!("st{}", number % 977)),
                is_name_exact: false,
                ..Search::default()
            },
            2 => Search { cur_page: i64::from(number) * 7, ..Search::default() },
            3 => Search {
                email: Some(format!("user.{}@example.com", number % users)),
                ..Search::default()
            },
            _ => Search { username: Some(format!("user.{}", number % users)), ..Search::default() },
        };
        let begun = Instant::now();
        let page = sso.search_as_operator(&Call::internal("bench"), &search)?;
        histogram.record(u64::try_from(begun.elapsed().as_micros())?)?;
        if page.total == 0 {
            return Err("a search found nobody".into());
        }
    }
    let mut figure = Figure::new(
        "sso",
        "whole names, parts of names, pages, addresses, user names",
        format!("{users} users"),
    );
    let millis = |quantile: f64| Some(histogram.value_at_quantile(quantile) as f64 / 1_000.0);
    (figure.p50_ms, figure.p99_ms) = (millis(0.5), millis(0.99));
    figure.seconds = Some(opened.as_secs_f64());
    figure.at_most("p99, ms", figure.p99_ms, 20.0);
    Ok(figure)
}

const THREADS: u32 = 64;
const SEARCHES: u32 = 2_000;
