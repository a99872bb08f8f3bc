//! The functions as they are shipped: how large they are, how quickly they wake, what they hold.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::engine::Engine;
use tests::home::Home;
use tests::http::request;
use tests::lambda::{Front, Function};
use tests::servers::DynamoDb;

use crate::context::{BASE, Context};
use crate::duel::median;
use crate::report::{Figure, Row};

/// Each function, a request and the status of its answer, and the most that it may have, in MB. The requests
/// are answered without the store, so that the first answer of a process takes what waking takes, and no
/// network. That of `track` is a crawler's, so that waking includes the list of bots: it is counted in the
/// store, an emulator on loopback.
const FUNCTIONS: [(&str, &str, &str, u64, f64); 10] = [
    ("track", "POST", "/event", 202, 6.5),
    ("realtime", "GET", "/realtime?site=-A-", 400, 6.0),
    ("stats", "GET", "/stats?period=x", 400, 6.0),
    ("themes", "GET", "/themes?limit=0", 400, 6.0),
    ("letters", "GET", "/letters?period=x", 400, 6.0),
    ("timeline", "GET", "/timeline?limit=0", 400, 6.0),
    ("heatmap", "GET", "/heatmap?hours=0", 400, 6.0),
    ("query", "GET", "/query", 400, 6.5),
    ("pages", "GET", "/nothing", 404, 6.0),
    ("cleanup", "POST", "/cleanup", 401, 6.0),
];
/// Who asks.
const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
/// Starts of each function, of which the median counts.
const STARTS: usize = 11;
/// Requests after the first, before memory is looked at.
const REQUESTS: usize = 200;

/// Adds three rows a function.
///
/// # Errors
/// When a function is not built, does not start, or answers something else.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let folder = folder()?;
    if !folder.is_dir() {
        context.say("no functions here to be measured: make lambda builds them");
        return Ok(());
    }
    let dynamodb = DynamoDb::start();
    let store = format!("dynamodb:bench?endpoint={}&region=eu-west-3", dynamodb.url());
    for (name, method, path, status, size) in FUNCTIONS {
        let program = folder.join(name);
        let built = std::fs::metadata(&program);
        let bytes = built.with_context(|| format!("no function at {}: make lambda", program.display()))?.len();
        context.say(&format!("waking {name}"));
        let row = Row::of(&format!("{name}: size"), bytes as f64 / 1e6, "MB");
        context.report.add(row.at_most(Figure::Value, size));
        let mut times = Vec::new();
        let mut memory = 0;
        for start in 0..STARTS {
            let asked = request(method, format!("{BASE}{path}"));
            let asked = asked.header("user-agent", CRAWLER).body(r#"{"event_type":"page_view"}"#);
            let (took, peak) = wake(name, &program, &store, &Front::HttpApi.event(&asked), status, start == 0).await?;
            times.push(took);
            memory = memory.max(peak);
        }
        let row = Row::of(&format!("{name}: start to first answer"), median(times), "ms");
        context.report.add(row.at_most(Figure::Value, 20.0));
        let row = Row::of(&format!("{name}: memory peak"), memory as f64 / 1e6, "MB");
        context.report.add(row.at_most(Figure::Value, 30.0));
    }
    Ok(())
}

/// Starts a function and answers how many milliseconds its first answer took, and the most memory
/// that it had, after some more answers if asked for.
async fn wake(name: &str, program: &Path, store: &str, event: &Value, status: u64, more: bool) -> Result<(f64, u64)> {
    let home = Home::on(Engine::Sqlite)
        .env("ANALYTICS_STORE", store)
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none");
    let mut function = Function::start_program(&home, name, program).await;
    let answer = function.invoke(event.clone()).await;
    let took = function.started().elapsed().as_secs_f64() * 1_000.0;
    let answer = answer.unwrap_or_default();
    ensure!(answer["statusCode"] == status, "{name} answers {answer}");
    for _ in 0..if more { REQUESTS } else { 0 } {
        let again = function.invoke(event.clone()).await;
        ensure!(again.is_ok_and(|answer| answer["statusCode"] == status), "{name} does not answer the same again");
    }
    let memory = function.peak_memory().context("this system does not say what a process holds")?;
    Ok((took, memory))
}

/// Where `make lambda` puts the functions: beside the profile that this program was built in.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).context("this program lies in a target folder")?;
    Ok(target.join("lambda"))
}
