//! What is answered to which path. Knows no socket.

use super::Report;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Response, StatusCode};

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Page {
    path: &'static str,
    says: &'static str,
    kind: &'static str,
    body: fn(&dyn Report) -> (StatusCode, String),
}

/// Every page, the front page too.
const PAGES: &[Page] = &[
    Page {
        path: "/",
        says: "this list",
        kind: HTML,
        body: |_| (StatusCode::OK, front()),
    },
    Page {
        path: "/health",
        says: "200 where the node serves, else 503 and the reason",
        kind: TEXT,
        body: |report| match report.out_of_service() {
            None => (StatusCode::OK, "ok\n".into()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        },
    },
    Page {
        path: "/metrics",
        says: "figures for Prometheus",
        kind: PROMETHEUS,
        body: |report| (StatusCode::OK, report.metrics_text()),
    },
    Page {
        path: "/status",
        says: "what `dolmen status --json` prints",
        kind: JSON,
        body: |report| (StatusCode::OK, report.status_json()),
    },
];

/// The path of each page, and what it says.
pub fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().map(|page| (page.path, page.says))
}

pub(super) fn page(method: &Method, path: &str, report: &dyn Report) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let says = "this door only tells: use GET or HEAD; changes go through the dolmen command\n";
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, says.into());
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    match PAGES.iter().find(|page| page.path == path) {
        Some(page) => {
            let (status, body) = (page.body)(report);
            response(status, page.kind, body)
        }
        None => {
            let paths: Vec<_> = PAGES.iter().map(|page| page.path).collect();
            let says = format!("no such page; there are {}\n", paths.join(" "));
            response(StatusCode::NOT_FOUND, TEXT, says)
        }
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn front() -> String {
    let lines: String = PAGES
        .iter()
        .map(|Page { path, says, .. }| format!("<li><a href=\"{path}\">{path}</a> {says}\n"))
        .collect();
    format!("<!doctype html>\n<title>Dolmen</title>\n<h1>Dolmen</h1>\n<ul>\n{lines}</ul>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node(Option<&'static str>);

    impl Report for Node {
        fn out_of_service(&self) -> Option<String> {
            self.0.map(String::from)
        }
        fn status_json(&self) -> String {
            "{}".into()
        }
        fn metrics_text(&self) -> String {
            "dolmen_x 1\n".into()
        }
    }

    fn check(method: Method, path: &str, node: Node, status: u16) -> Response<Full<Bytes>> {
        let response = page(&method, path, &node);
        assert_eq!(response.status(), status, "{method} {path}");
        response
    }

    #[test]
    fn health_follows_the_node() {
        check(Method::GET, "/health", Node(None), 200);
        check(Method::HEAD, "/health", Node(None), 200);
        check(Method::GET, "/health", Node(Some("starting")), 503);
    }

    #[test]
    fn every_listed_page_answers_and_no_other() {
        for listed in PAGES {
            check(Method::GET, listed.path, Node(None), 200);
            assert!(front().contains(listed.path));
        }
        check(Method::GET, "/admin", Node(None), 404);
        check(Method::GET, "/health/", Node(None), 404);
    }

    #[test]
    fn a_change_is_refused_with_what_is_allowed() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let refusal = check(method, "/health", Node(None), 405);
            assert_eq!(refusal.headers()[ALLOW], "GET, HEAD");
        }
    }
}
