//! The table that a function finds made: in the cloud the deployment makes it.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::home::Home;
use crate::template::Template;

/// Makes the table of a home's store as `template.yaml` describes it, where the store is one at
/// an emulator; one that is there stays.
pub(super) async fn deployed(home: &Home) {
    let store = home.variable("ANALYTICS_STORE").unwrap_or_default();
    let Some((table, query)) = store.strip_prefix("dynamodb:").and_then(|rest| rest.split_once('?')) else { return };
    let endpoint = query.split('&').find_map(|part| part.strip_prefix("endpoint=http://"));
    let Some(host) = endpoint.map(|endpoint| endpoint.trim_end_matches('/')) else { return };
    let described = Template::read();
    let properties = &described.resource("Table")["Properties"];
    let body = json!({
        "TableName": table,
        "BillingMode": properties["BillingMode"],
        "AttributeDefinitions": properties["AttributeDefinitions"],
        "KeySchema": properties["KeySchema"],
    })
    .to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: DynamoDB_20120810.CreateTable\r\ncontent-length: {}\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=test/20251208/eu-west-3/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n\
         x-amz-date: 20251208T100000Z\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.expect("the emulator runs");
    stream.write_all(request.as_bytes()).await.expect("the emulator listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the emulator answers");
    let made = answer.starts_with("HTTP/1.1 200") || answer.contains("ResourceInUseException");
    assert!(made, "no table: {answer}");
}
