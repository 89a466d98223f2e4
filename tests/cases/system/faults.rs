//! Faults around the functions: messages that are not ours, and an environment that is incomplete.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stack::{Project, Seen, until};

use crate::world::{SHORT, World};

pub(crate) async fn a_message_that_is_not_ours_goes_to_the_dead_letters_alone(world: &World) -> Result<()> {
    const FOREIGN: &str = "this is not ours";
    let outputs = world.stack.outputs();
    let (queue, dead) = (&outputs.deliver_queue_url, &outputs.deliver_dead_letters_url);
    let sqs = |operation: &str, input: Value| {
        let operation = format!("AmazonSQS.{operation}");
        async move { world.stack.call(&operation, &input).await }
    };
    world.quiet().await?;
    // It is read five times; what it is hidden for in between is shortened.
    sqs("SetQueueAttributes", json!({"QueueUrl": queue, "Attributes": {"VisibilityTimeout": "1"}})).await?;
    sqs("SendMessage", json!({"QueueUrl": queue, "MessageBody": FOREIGN})).await?;
    let found = until("the message to be among the dead letters", SHORT, async || {
        let answer = sqs("ReceiveMessage", json!({"QueueUrl": dead, "MaxNumberOfMessages": 10})).await?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        Ok(if messages.is_empty() { Seen::NotYet("none".to_owned()) } else { Seen::Yes(messages) })
    })
    .await?;
    let visibility = world.stack.number("DeliverVisibility")?.to_string();
    sqs("SetQueueAttributes", json!({"QueueUrl": queue, "Attributes": {"VisibilityTimeout": visibility}}))
        .await?;
    ensure!(found.len() == 1 && found[0]["Body"] == FOREIGN, "{found:?}");

    // Its neighbours have fared as if it were not there.
    let campaign = world.campaign("/status/200/neighbour", json!({})).await?;
    let run = world.start(&campaign, world.crowd.inline_audience(0..1000)).await?;
    sqs("SendMessage", json!({"QueueUrl": queue, "MessageBody": "{}"})).await?;
    let run = world.api()?.run_over(&run, SHORT).await?;
    ensure!(run.outcome("delivered") == 1000 && run.sum() == 1000, "{run:?}");
    // It would be read for ten minutes more, and keep from ending whoever waits for the queue to be empty.
    sqs("PurgeQueue", json!({"QueueUrl": queue})).await?;
    Ok(())
}

pub(crate) async fn a_function_with_missing_variables_refuses_to_start_and_names_them_all(
    _: &World,
) -> Result<()> {
    let project = Project::find()?;
    let template = fs::read_to_string(project.template())?;
    for function in ["config", "fanout", "dispatch", "deliver", "profiles"] {
        let program = project.binary(function)?;
        let output = tokio::task::spawn_blocking(move || {
            Command::new(program)
                .env_clear()
                .envs([
                    // What the platform sets; nobody listens there.
                    ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"),
                    ("AWS_LAMBDA_FUNCTION_NAME", "x"),
                    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                    ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                    ("AWS_LAMBDA_LOG_STREAM_NAME", "x"),
                    ("AWS_LAMBDA_LOG_GROUP_NAME", "x"),
                    ("AWS_REGION", "us-east-1"),
                ])
                .stdin(Stdio::null())
                .output()
        })
        .await??;
        ensure!(!output.status.success(), "{function} has started");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let names = variables(&template, function)?;
        ensure!(names.len() > 3, "the template gives {function} only {names:?}");
        let unnamed: Vec<&&str> = names.iter().filter(|name| !said.contains(**name)).collect();
        ensure!(unnamed.is_empty(), "{function} does not name {unnamed:?}: {said}");
    }
    Ok(())
}

/// Names of the variables that the template gives a function.
fn variables<'a>(template: &'a str, function: &str) -> Result<Vec<&'a str>> {
    let own = template.split(&format!("FunctionName: !Sub ${{AWS::StackName}}-{function}\n")).nth(1);
    let own = own.with_context(|| format!("the template has no {function}"))?;
    let listed = own.split("        Variables:\n").nth(1).context("no variables")?;
    let lines = listed.lines().take_while(|line| line.starts_with("          "));
    Ok(lines.filter_map(|line| Some(line.split_once(':')?.0.trim())).collect())
}
