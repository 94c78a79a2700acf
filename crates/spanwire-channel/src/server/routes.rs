//! Which channel answers which path.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::rest::RestChannel;
use crate::wsx::WsxChannel;

/// The parameters of a path, by name.
pub(crate) type Parameters = Vec<(String, String)>;

/// The channels of one listener.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    wsx: HashMap<String, Arc<WsxChannel>>,
    /// The most specific first: fewer parameters, then longer paths.
    rest: Option<Vec<Arc<RestChannel>>>,
}

impl Routes {
    /// The routes of the main listener: health, REST and WebSocket channels.
    #[must_use]
    pub fn shared(
        wsx: impl IntoIterator<Item = impl Into<Arc<WsxChannel>>>,
        rest: impl IntoIterator<Item = impl Into<Arc<RestChannel>>>,
    ) -> Self {
        let mut rest: Vec<Arc<RestChannel>> = rest.into_iter().map(Into::into).collect();
        rest.sort_by_key(|channel| {
            (channel.path.parameters(), usize::MAX - channel.path.as_str().len())
        });
        Self { rest: Some(rest), ..Self::wsx_only(wsx) }
    }

    /// The routes of a listener that one WebSocket channel has for itself.
    #[must_use]
    pub fn wsx_only(wsx: impl IntoIterator<Item = impl Into<Arc<WsxChannel>>>) -> Self {
        let channels = wsx.into_iter().map(Into::into);
        let wsx = channels.map(|channel| (channel.path.clone(), channel)).collect();
        Self { wsx, rest: None }
    }

    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    pub(crate) fn has_health(&self) -> bool {
        self.rest.is_some()
    }

    /// The WebSocket channel on exactly this path, percent-decoded.
    pub(crate) fn find_wsx(&self, path: &str) -> Option<&Arc<WsxChannel>> {
        let channel = self.wsx.get(path).or_else(|| {
            let decoded = percent_decode_str(path).decode_utf8().ok()?;
            self.wsx.get(&*decoded)
        });
        channel.filter(|channel| channel.is_active)
    }

    /// The WebSocket channel with this number, wherever it is now.
    pub(crate) fn wsx_with(&self, id: u64) -> Option<&Arc<WsxChannel>> {
        self.wsx.values().find(|channel| channel.id == id)
    }

    /// The active REST channels that answer a path, with any method.
    pub(crate) fn rest_at<'a>(
        &'a self,
        path: &'a str,
    ) -> impl Iterator<Item = &'a Arc<RestChannel>> {
        let active = self.rest.iter().flatten().filter(|channel| channel.is_active);
        active.filter(move |channel| channel.path.matches(path).is_some())
    }

    /// The REST channel that answers a path and a method, and the parameters of the path. HEAD is answered by whoever
    /// answers GET.
    pub(crate) fn find_rest(
        &self,
        path: &str,
        method: &Method,
    ) -> Option<(Arc<RestChannel>, Parameters)> {
        let answers = |channel: &RestChannel| match &channel.method {
            None => true,
            Some(own) => own == method || (*method == Method::HEAD && *own == Method::GET),
        };
        let active =
            self.rest.iter().flatten().filter(|channel| channel.is_active && answers(channel));
        active
            .filter_map(|channel| Some((Arc::clone(channel), channel.path.matches(path)?)))
            .min_by_key(|(channel, _)| channel.path.parameters())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::PathPattern;

    #[test]
    fn the_most_specific_channel_answers() {
        let rest = |name: &str, path: &str, method: Option<Method>| RestChannel {
            method,
            ..RestChannel::new(name, PathPattern::parse(path, false).unwrap(), "s")
        };
        let routes = Routes::shared(
            [] as [WsxChannel; 0],
            [
                rest("any", "/c/{id}", None),
                rest("new", "/c/new", Some(Method::GET)),
                RestChannel { is_active: false, ..rest("off", "/off", None) },
            ],
        );
        let find = |path: &str, method: Method| {
            routes.find_rest(path, &method).map(|(channel, _)| channel.name.to_string())
        };
        assert_eq!(find("/c/new", Method::GET).as_deref(), Some("new"));
        assert_eq!(find("/c/new", Method::HEAD).as_deref(), Some("new"));
        assert_eq!(find("/c/new", Method::POST).as_deref(), Some("any"));
        assert_eq!(find("/off", Method::GET), None);
    }

    #[test]
    fn websocket_paths_compare_exactly() {
        let routes = Routes::wsx_only([WsxChannel::new("a", "/ws/ä", "s")]);
        assert!(routes.find_wsx("/ws/%C3%A4").is_some());
        assert!(routes.find_wsx("/ws/ä/").is_none() && routes.find_wsx("/WS/ä").is_none());
    }
}
