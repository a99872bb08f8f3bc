//! The deployment as template.yaml describes it, held against the product.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::home::Home;
use tests::http::{get, request};
use tests::lambda::{Front, Function, body};
use tests::server::Server;
use tests::template::Template;
use tests::{API, binary, list, text};

const FUNCTION: &str = "AWS::Serverless::Function";

/// Method and path to the binary that answers.
fn routes(template: &Template) -> BTreeMap<String, String> {
    let mut routes = BTreeMap::new();
    for (name, function) in template.of_type(FUNCTION) {
        let binary = text(&function["Metadata"]["BuildProperties"]["Binary"]);
        for event in function["Properties"]["Events"].as_object().unwrap().values() {
            assert_eq!((&event["Type"], &event["Properties"]["ApiId"]), (&json!("HttpApi"), &json!({"Ref": "Api"})));
            let properties = &event["Properties"];
            let route = format!("{} {}", text(&properties["Method"]), text(&properties["Path"]));
            assert_eq!(routes.insert(route, binary.to_owned()), None, "{name}");
        }
    }
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_those_of_the_product() {
    let template = Template::read();
    let server = Server::new().await;
    let document = server.send(get("/openapi.json")).await.json();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|_| path.starts_with("/api/")) {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    // What is described of the API, the collect path, preflight requests for all of it, the dashboard with its
    // files, and the tracker under all of its names.
    let others = ["POST /{path+}", "OPTIONS /{path+}", "GET /", "GET /{path+}"];
    documented.extend(others.map(str::to_owned));
    let routes = routes(&template);
    assert_eq!(routes.keys().cloned().collect::<BTreeSet<_>>(), documented);
    let settings = template.resource("Api")["Properties"]["RouteSettings"].as_object().unwrap();
    assert_eq!(settings.keys().cloned().collect::<BTreeSet<_>>(), documented, "each route is throttled");
    for (route, limits) in settings {
        assert!(
            limits["ThrottlingRateLimit"] != Value::Null && limits["ThrottlingBurstLimit"] != Value::Null,
            "{route}"
        );
    }
    // Each binary knows the routes that it is given.
    for (route, binary) in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let mut function = Function::start(&server.home, &binary).await;
        let path = path.replace("/{path+}", "/mcv/notes");
        let mut asked = request(method, path);
        if method == "OPTIONS" {
            asked = asked.header("origin", "https://cv.example").header("access-control-request-method", "POST");
        }
        let answer = function.send(Front::HttpApi, &asked).await;
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(![404, 405].contains(&status), "{route} at {binary}: {answer}");
    }
}

/// The gateway leaves preflight requests to the functions, which answer as the local runtime does.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_send_what_it_may_send_to_the_local_runtime() {
    let template = Template::read();
    assert_eq!(template.resource("Api")["Properties"]["CorsConfiguration"], Value::Null);
    for origins in ["", "https://cv.example"] {
        let server = Home::new().env("ANALYTICS_ALLOWED_ORIGINS", origins).serve().await;
        let mut track = Function::start(&server.home, "track").await;
        for path in ["/mcv/notes", "/api/v1/analytics/event", "/api/v1/analytics/stats"] {
            let asked = request("OPTIONS", path)
                .header("origin", "https://cv.example")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "baggage,sentry-trace,traceparent,x-made-up");
            let answer = track.send(Front::HttpApi, &asked).await;
            assert_eq!(answer["statusCode"], 200, "{answer}");
            let local = server.send(asked).await;
            for (name, value) in local.headers.iter().filter(|(name, _)| name.starts_with("access-control-")) {
                assert_eq!(answer["headers"][name], **value, "{name}");
            }
            assert_eq!(
                local.header("access-control-allow-headers").unwrap(),
                "baggage,sentry-trace,traceparent,x-made-up"
            );
        }
    }
}

/// The variables that a function is given with these parameters.
fn environment(template: &Template, function: &str, parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    let global = &template.section("Globals")["Function"]["Environment"]["Variables"];
    let own = &template.resource(function)["Properties"]["Environment"]["Variables"];
    let mut variables = BTreeMap::new();
    for given in [global, own] {
        for (name, value) in given.as_object().into_iter().flatten() {
            let value = template.resolve(value, parameters);
            variables.insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    variables
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_known_and_valid() {
    let template = Template::read();
    let example = std::fs::read_to_string(binary::workspace().join(".env.example")).unwrap();
    for parameters in [
        &[][..],
        &[
            ("AllowedOrigins", "https://a.example,https://b.example"),
            ("Sites", "a.example,b.example"),
            ("RetentionDays", "30"),
            ("SummaryMonths", "0"),
            ("Goals", r#"[{"name":"Sign-up","event":"signup"}]"#),
            ("Identity", "explicit"),
            ("HonorOptOut", "false"),
            ("CollectPath", "/m"),
            ("ScriptName", "hello.js"),
            ("FrameAncestors", "https://a.example"),
            ("ActiveWindowSeconds", "60"),
            ("TrustedProxies", "10.0.0.0/8"),
            ("Ignore", "203.0.113.0/24"),
            (
                "Tokens",
                r#"[{"name":"a","scopes":["read"],"hash":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}]"#,
            ),
            ("JwtKeys", "https://id.example/keys.json"),
            ("JwtIssuer", "https://id.example"),
            ("JwtAudience", "analytics"),
            ("Plans", "free=stats;plus=*"),
            ("AdminToken", "a-long-enough-admin-token"),
            ("Metrics", "false"),
        ],
    ] {
        let variables = environment(&template, "CleanupFunction", parameters);
        for name in variables.keys() {
            assert!(example.contains(&format!("# {name}=")), "{name} is no variable");
        }
        // Names that are not known, and values that are not valid, end a function at its start.
        let home = variables.iter().filter(|(name, _)| *name != "ANALYTICS_STORE" && *name != "ANALYTICS_REDIS");
        let home = home.fold(Home::new(), |home, (name, value)| home.env(name, value));
        let mut stats = Function::start(&home, "stats").await;
        let answer = stats.send(Front::HttpApi, &get(format!("{API}/stats?site=a.example"))).await;
        assert_eq!(body(&answer, 200)["success"], true);
        assert_eq!(stats.stdout().is_empty(), parameters.contains(&("Metrics", "false")));
    }
}

/// The store's address as each engine is deployed with, read by the product: a mistake in it would
/// be exit code 64, a server that is not there is 1.
#[tokio::test]
async fn the_store_can_be_read() {
    let template = Template::read();
    let table = environment(&template, "TrackFunction", &[]);
    assert_eq!(table["ANALYTICS_STORE"], "dynamodb:<Table>?secrets=<SecretsTable>");
    let other = environment(&template, "TrackFunction", &[("ExistingTable", "kept")]);
    assert_eq!(other["ANALYTICS_STORE"], "dynamodb:kept?secrets=<SecretsTable>");
    let store = table["ANALYTICS_STORE"].replace(['<', '>'], "");
    let home = Home::new().env("ANALYTICS_STORE", store).env("ANALYTICS_ADDR", "127.0.0.1:1");
    home.run(&["healthcheck"]).await.expect_code(1);

    let postgres = [("Engine", "postgres"), ("DatabaseSecret", "arn:aws:secretsmanager:x")];
    for parameters in [&[][..], &postgres] {
        let variables = environment(&template, "PagesFunction", parameters);
        assert_eq!((&*variables["ANALYTICS_STORE"], &*variables["ANALYTICS_REDIS"]), ("", ""), "pages have none");
    }
    let variables = environment(&template, "TrackFunction", &postgres);
    for (name, key) in [("ANALYTICS_STORE", "postgres"), ("ANALYTICS_REDIS", "redis")] {
        let expected = format!("{{{{resolve:secretsmanager:arn:aws:secretsmanager:x:SecretString:{key}}}}}");
        assert_eq!(variables[name], expected);
    }
}

#[test]
fn every_name_leads_somewhere_and_every_parameter_is_used() {
    let template = Template::read();
    let references = template.references();
    let sections = ["Parameters", "Conditions", "Resources"];
    for (name, place) in &references {
        let name = name.split('.').next().unwrap();
        let known =
            name.starts_with("AWS::") || sections.iter().any(|section| template.section(section).contains_key(name));
        assert!(known, "{name} of {place}");
    }
    let used: BTreeSet<&str> = references.iter().map(|(name, _)| &**name).collect();
    for parameter in template.section("Parameters").keys() {
        assert!(used.contains(&**parameter), "{parameter} is not used");
        assert!(template.section("Parameters")[parameter]["Description"].is_string(), "{parameter} is not described");
    }
    let groups = &template.section("Metadata")["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let shown: BTreeSet<&str> =
        list(groups).iter().flat_map(|group| list(&group["Parameters"])).map(|parameter| text(parameter)).collect();
    assert_eq!(shown, template.section("Parameters").keys().map(String::as_str).collect());
}

#[test]
fn a_function_for_each_endpoint_with_its_log_and_its_alarm() {
    let template = Template::read();
    let global = &template.section("Globals")["Function"];
    assert_eq!((&global["Runtime"], &global["Architectures"]), (&json!("provided.al2023"), &json!(["arm64"])));
    let mut binaries = BTreeSet::new();
    for (name, function) in template.of_type(FUNCTION) {
        let properties = &function["Properties"];
        let binary = text(&function["Metadata"]["BuildProperties"]["Binary"]);
        assert_eq!(function["Metadata"]["BuildMethod"], "rust-cargolambda", "{name}");
        assert_eq!(properties["CodeUri"], format!("functions/{binary}"), "{name}");
        binaries.insert(binary.to_owned());
        let log_group = template.resource(text(&properties["LoggingConfig"]["LogGroup"]["Ref"]));
        assert_eq!(log_group["Type"], "AWS::Logs::LogGroup");
        assert_eq!(log_group["Properties"]["RetentionInDays"], json!({"Ref": "LogRetentionDays"}));
        let alarms = template.of_type("AWS::CloudWatch::Alarm");
        let watched = |alarm: &&&Value, metric: &str| {
            list(&alarm["Properties"]["Metrics"]).iter().any(|query| {
                let metric_of = &query["MetricStat"]["Metric"];
                metric_of["MetricName"] == metric && metric_of["Dimensions"][0]["Value"]["Ref"] == name
            })
        };
        let with_metrics = || alarms.values().filter(|alarm| alarm["Properties"]["Metrics"].is_array());
        let complete = with_metrics().filter(|alarm| watched(alarm, "Errors") && watched(alarm, "Throttles"));
        assert_eq!(complete.count(), 1, "{name} has an alarm on errors and throttles");
    }
    let folders = std::fs::read_dir(binary::workspace().join("functions")).unwrap();
    let folders: BTreeSet<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(binaries, folders);
}

/// What a function may do, by the kind of resource: each managed or inline statement of its role.
fn permissions(template: &Template, function: &str) -> Vec<(BTreeSet<String>, Value)> {
    let role = text(&template.resource(function)["Properties"]["Role"]["Fn::GetAtt"][0]);
    let properties = &template.resource(role)["Properties"];
    let managed = properties["ManagedPolicyArns"].as_array().into_iter().flatten();
    let managed = managed.map(|policy| template.resolve(policy, &[]));
    let managed = managed.filter_map(|policy| {
        let name = text(&policy).trim_matches(['<', '>']).to_owned();
        (name != "AWS::NoValue").then(|| template.resource(&name)["Properties"]["PolicyDocument"].clone())
    });
    let inline = list(&properties["Policies"]).iter().map(|policy| policy["PolicyDocument"].clone());
    let mut statements = Vec::new();
    for document in managed.chain(inline) {
        for statement in list(&document["Statement"]) {
            assert_eq!(statement["Effect"], "Allow");
            let actions = match &statement["Action"] {
                Value::Array(actions) => actions.iter().map(|action| text(action).to_owned()).collect(),
                action => BTreeSet::from([text(action).to_owned()]),
            };
            statements.push((actions, template.resolve(&statement["Resource"], &[])));
        }
    }
    statements
}

/// The actions on the table of events in a row of docs/dynamodb.md.
fn documented(who: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(binary::workspace().join("docs/dynamodb.md")).unwrap();
    let (_, text) = text.split_once("## Permissions").expect("a section of them");
    let mut rows = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = rows.find(|cells| cells.get(1).is_some_and(|cell| cell.trim_matches('`') == who)).expect(who);
    let actions = row[2].split('`').skip(1).step_by(2).filter(|action| action.chars().all(char::is_alphabetic));
    actions.map(|action| format!("dynamodb:{action}")).collect()
}

#[test]
fn reads_cannot_write_and_no_function_may_do_more_than_needed() {
    let template = Template::read();
    for (name, function) in template.of_type(FUNCTION) {
        let binary = text(&function["Metadata"]["BuildProperties"]["Binary"]);
        let mut on_events = BTreeSet::new();
        for (actions, resource) in permissions(&template, name) {
            assert!(actions.iter().all(|action| !action.contains('*')), "{name}: {actions:?}");
            let resources = resource.as_array().cloned().unwrap_or_else(|| vec![resource.clone()]);
            for resource in resources {
                let resource = text(&resource);
                assert_ne!(resource, "*", "{name}: {actions:?}");
                if resource.ends_with("table/<Table>") {
                    on_events.extend(actions.iter().cloned());
                } else if resource == "<SecretsTable.Arn>" {
                    assert!(["track", "timeline", "cleanup"].contains(&binary), "{name} needs no secrets");
                    assert!(binary == "cleanup" || !actions.contains("dynamodb:DeleteItem"), "{name}");
                } else if resource.contains("Logs.Arn") {
                    assert_eq!(
                        resource,
                        format!("<{}Logs.Arn>", name.trim_end_matches("Function")),
                        "its own log only"
                    );
                } else {
                    assert_eq!((resource, binary), ("<DeadLetters.Arn>", "cleanup"));
                }
            }
        }
        let expected = match binary {
            "pages" => BTreeSet::new(),
            "track" | "cleanup" => documented(binary),
            "query" | "themes" | "heatmap" => documented("query"),
            _ => documented("reads"),
        };
        assert_eq!(on_events, expected, "{name}");
    }
    let columns = &template.resource("WriteBlocks")["Properties"]["PolicyDocument"]["Statement"];
    let only_blocks = json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["b#*"]}});
    assert!(list(columns).iter().all(|statement| statement["Condition"] == only_blocks), "{columns}");
    for action in documented("reads") {
        assert!(["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"].contains(&&*action), "{action}");
    }
}

#[test]
fn the_table_is_the_engines() {
    let template = Template::read();
    let code = std::fs::read_to_string(binary::workspace().join("common/src/store/dynamodb/table.rs")).unwrap();
    let constant = |name: &str| {
        let (_, rest) = code.split_once(&format!("pub const {name}: &str = \"")).unwrap_or_else(|| panic!("no {name}"));
        rest.split('"').next().unwrap().to_owned()
    };
    let (partition, sort) = (constant("PARTITION_KEY"), constant("SORT_KEY"));
    for (name, recovery) in [("Table", true), ("SecretsTable", false)] {
        let properties = &template.resource(name)["Properties"];
        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST");
        let keys = json!([
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ]);
        assert_eq!(properties["KeySchema"], keys, "{name}");
        let attributes = json!([
            {"AttributeName": partition, "AttributeType": "S"},
            {"AttributeName": sort, "AttributeType": "S"},
        ]);
        assert_eq!(properties["AttributeDefinitions"], attributes, "{name}");
        let ttl = json!({"AttributeName": constant("TIME_TO_LIVE"), "Enabled": true});
        assert_eq!(properties["TimeToLiveSpecification"], ttl, "{name}");
        assert_eq!(properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], recovery, "{name}");
        for index in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            assert!(properties[index].is_null(), "the engine knows no index");
        }
    }
    assert_eq!(template.resource("Table")["Properties"]["DeletionProtectionEnabled"], true);
    assert_eq!(template.resource("Table")["DeletionPolicy"], "Retain");
}

#[test]
fn cleanup_runs_at_two_every_night_and_its_failures_are_kept_and_told() {
    let template = Template::read();
    let schedules = template.of_type("AWS::Scheduler::Schedule");
    assert_eq!(schedules.len(), 1);
    let schedule = &template.resource("CleanupSchedule")["Properties"];
    assert_eq!(schedule["ScheduleExpression"], "cron(0 2 * * ? *)");
    assert_eq!(schedule["ScheduleExpressionTimezone"], "UTC");
    assert_eq!(schedule["FlexibleTimeWindow"], json!({"Mode": "OFF"}));
    assert_eq!(schedule["State"], "ENABLED");
    let target = &schedule["Target"];
    assert_eq!(target["Arn"], json!({"Fn::GetAtt": ["CleanupFunction", "Arn"]}));
    assert!(target["RetryPolicy"]["MaximumRetryAttempts"].as_u64().is_some_and(|attempts| attempts >= 1));
    let dead_letters = json!({"Fn::GetAtt": ["DeadLetters", "Arn"]});
    assert_eq!(target["DeadLetterConfig"]["Arn"], dead_letters);
    let input: Value = serde_json::from_str(text(&target["Input"])).unwrap();
    assert!(input.get("requestContext").is_none(), "it is no request");
    let invoke = &template.resource("CleanupFunction")["Properties"]["EventInvokeConfig"];
    assert_eq!(invoke["DestinationConfig"]["OnFailure"]["Destination"], dead_letters);
    assert!(invoke["MaximumRetryAttempts"].as_u64().is_some_and(|attempts| attempts >= 1));

    let missed = &template.resource("MissedCleanupAlarm")["Properties"];
    assert_eq!(missed["TreatMissingData"], "breaching", "no run is no data");
    let hours = missed["EvaluationPeriods"].as_u64().unwrap();
    assert!((25..=48).contains(&hours) && missed["DatapointsToAlarm"] == missed["EvaluationPeriods"], "{missed}");
    for query in list(&missed["Metrics"]).iter().filter(|query| query["MetricStat"].is_object()) {
        assert_eq!(query["MetricStat"]["Period"], 3_600, "hours: {query}");
        assert_eq!(query["MetricStat"]["Metric"]["Dimensions"][0]["Value"], json!({"Ref": "CleanupFunction"}));
    }
}

/// API Gateway's access log would hold addresses; nothing here may turn one on.
#[test]
fn no_front_writes_down_who_came() {
    let template = Template::read();
    let whole = Value::Object(template.section("Resources").clone()).to_string();
    for word in ["AccessLogSettings", "AccessLogSetting", "sourceIp", "$context."] {
        assert!(!whole.contains(word), "{word}");
    }
}
