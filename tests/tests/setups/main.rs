//! PostgreSQL, Redis, Prometheus and web servers as `docs`, `deploy` and `compose.yaml` say to set them up: what is
//! written there is read from there, and done.
//!
//! | what is written | module |
//! |---|---|
//! | the servers in `compose.yaml` | `compose` |
//! | roles, grants, the user of Redis | `grants` |
//! | alerts, their runbook and the dashboard of Grafana | `monitoring` |
//! | `make install`, the systemd unit, the image, Kubernetes | `deployment` |
//! | nginx and Caddy | `web_servers` |
//! | links, commands, variables and tests that documents name | `documents` |
//! | poolers of connections | `pooler` |
//! | encrypted connections, and a certification authority of one's own | `tls` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod compose;
mod deployment;
mod document;
mod documents;
mod grants;
mod monitoring;
mod pooler;
mod tls;
mod web_servers;
