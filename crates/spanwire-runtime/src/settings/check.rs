//! What the production profile refuses (DESIGN 4, `spanwire-server check`).

use std::net::IpAddr;

use spanwire_config::{ObjectSet, RestChannel, WebSocketAddress, WebSocketChannel};

use super::{Profile, Settings};

/// Everything that is unsafe where strangers can connect; empty in the `dev` profile.
#[must_use]
pub fn unsafe_defaults(settings: &Settings, objects: &ObjectSet) -> Vec<String> {
    if settings.effective_profile() == Profile::Dev {
        return Vec::new();
    }
    let mut found = Vec::new();
    let is_open = |ip: IpAddr| !ip.is_loopback();
    if is_open(settings.admin_listen.ip()) && settings.admin_tls_certificate.is_none() {
        found.push(
            "admin_listen is reachable from outside without TLS: set admin_tls_certificate and admin_tls_key, or \
             listen on 127.0.0.1"
                .to_owned(),
        );
    }
    let behind_proxy = !settings.trusted_proxies.is_empty();
    if is_open(settings.listen.ip()) && settings.tls_certificate.is_none() && !behind_proxy {
        found.push(
            "listen is reachable from outside without TLS: set tls_certificate and tls_key, or name the proxy that \
             ends TLS in trusted_proxies"
                .to_owned(),
        );
    }
    if settings.trusted_proxies.iter().any(|network| network.ends_with("/0")) {
        found.push("trusted_proxies trusts everybody: name the proxies".to_owned());
    }
    found.extend(settings.sso_settings().unsafe_values());
    for channel in objects.all::<WebSocketChannel>().filter(|channel| channel.is_active) {
        let name = &channel.name;
        let open = match &channel.address {
            WebSocketAddress::Shared { .. } => is_open(settings.listen.ip()),
            WebSocketAddress::Own { host, .. } => host.parse().map_or(host != "localhost", is_open),
        };
        if open && channel.sec_def.is_none() {
            found.push(format!("web_socket '{name}' lets anybody in: give it a sec_def"));
        }
        if channel.allowed_origins.iter().any(|origin| origin == "*") {
            found.push(format!(
                "web_socket '{name}' allows every origin: list the origins of your pages"
            ));
        }
    }
    for channel in objects.all::<RestChannel>().filter(|channel| channel.is_active) {
        if channel.cors_origins.iter().any(|origin| origin == "*")
            && channel.security_name.is_some()
        {
            let name = &channel.name;
            found.push(format!(
                "channel_rest '{name}' allows every origin: list the origins of your pages"
            ));
        }
    }
    found
}
