//! The tools of a request. Each becomes a function: a custom tool one with a single text, a tool in a namespace
//! one with both names. The response has to name them as the client did ([`NamedTool`]).

use std::borrow::Cow;
use std::fmt::Display;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::super::wire::fields::{Fields, each, wrong};
use crate::canonical::{ModelRequest, Raw, ResponseFormat, Tool, ToolChoice, UniqueNames, text_of};
use crate::error::{Error, Result};

/// The item in which a call of a tool comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CallKind {
    /// `function_call`.
    #[default]
    Function,
    /// `custom_tool_call`.
    Custom,
    /// `tool_search_call`.
    ToolSearch,
    /// `local_shell_call`.
    LocalShell,
    /// `shell_call`.
    Shell,
    /// `apply_patch_call`.
    ApplyPatch,
}

/// A tool whose calls are not function calls under the name that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedTool {
    /// The name that was sent.
    pub(crate) sent: String,
    pub(crate) kind: CallKind,
    /// The client's name.
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
}

/// A tool that the client runs and whose arguments the API defines: its type, the kind of its calls, its
/// description and its schema.
type BuiltIn = (&'static str, CallKind, &'static str, &'static str);

const BUILT_IN: &[BuiltIn] = &[
    (
        "local_shell",
        CallKind::LocalShell,
        "Runs a command in the user's shell.",
        r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"}},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"}},"required":["command"]}"#,
    ),
    (
        "shell",
        CallKind::Shell,
        "Runs commands in a shell.",
        r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"}},"timeout_ms":{"type":"integer"},"max_output_length":{"type":"integer"}},"required":["commands"]}"#,
    ),
    (
        "apply_patch",
        CallKind::ApplyPatch,
        "Creates, updates or deletes a file. The diff is in the V4A format.",
        r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string"},"diff":{"type":"string"}},"required":["type","path"]}"#,
    ),
];

/// The name of the tool that searches for other tools.
pub(super) const TOOL_SEARCH: &str = "tool_search";

/// The schema of a custom tool.
const TEXT_INPUT: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"]}"#;

/// The longest name of a tool in a namespace, in bytes: what most hosts take.
const MAX_NAME: usize = 64;

/// A tool as the client declared it.
pub(super) struct DeclaredTool<'d> {
    pub(super) tool: Tool<'d>,
    pub(super) named: Option<NamedTool>,
}

/// The name under which a tool is sent.
pub(super) fn sent_name<'n>(namespace: Option<&str>, name: Cow<'n, str>) -> Cow<'n, str> {
    let Some(namespace) = namespace else { return name };
    let glue = if namespace.ends_with('_') { "" } else { "__" };
    let own = format!("{namespace}{glue}{name}");
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if own.len() <= MAX_NAME && own.chars().all(is_legal) {
        return Cow::Owned(own);
    }
    let mark: String = Sha256::digest(&own).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let legal: String = own.chars().map(|c| if is_legal(c) { c } else { '_' }).take(MAX_NAME - 9).collect();
    Cow::Owned(format!("{legal}_{mark}"))
}

/// Reads a list of tools. Unknown types are named as `tools[].TYPE`.
///
/// # Errors
/// 400 naming the place that violates the format.
pub(super) fn read_tools<'d>(
    raw: &'d str,
    at: &dyn Display,
    unmapped: &mut UniqueNames<'_>,
    take: &mut dyn FnMut(DeclaredTool<'d>),
) -> Result<()> {
    each(raw, at, |index, mut fields: Fields<'d>| {
        let at = format_args!("{at}[{index}]");
        let kind = fields.text("type", &at)?;
        match kind.as_ref() {
            "function" => take(function(&mut fields, &at, None)?),
            "custom" => take(custom(&mut fields, &at, None)?),
            "namespace" => return namespace(&mut fields, &at, unmapped, take),
            TOOL_SEARCH if fields.word("execution").as_deref() == Some("client") => take(tool_search(&mut fields)),
            other => match BUILT_IN.iter().find(|(name, ..)| *name == other) {
                Some(built_in) => take(of_built_in(built_in)),
                None => {
                    unmapped.note(format!("tools[].{other}"));
                    return Ok(());
                }
            },
        }
        fields.rest().for_each(|name| unmapped.note(format!("tools[].{name}")));
        Ok(())
    })
}

fn namespace<'d>(
    fields: &mut Fields<'d>,
    at: &dyn Display,
    unmapped: &mut UniqueNames<'_>,
    take: &mut dyn FnMut(DeclaredTool<'d>),
) -> Result<()> {
    let namespace = fields.text("name", at)?;
    // Each tool has a description of its own.
    fields.take("description");
    let tools = fields.take("tools").map_or("[]", RawValue::get);
    each(tools, &format_args!("{at}.tools"), |index, mut fields: Fields<'d>| {
        let at = format_args!("{at}.tools[{index}]");
        let kind = fields.text("type", &at)?;
        match kind.as_ref() {
            "function" => take(function(&mut fields, &at, Some(&namespace))?),
            "custom" => take(custom(&mut fields, &at, Some(&namespace))?),
            other => {
                unmapped.note(format!("tools[].tools[].{other}"));
                return Ok(());
            }
        }
        fields.rest().for_each(|name| unmapped.note(format!("tools[].{name}")));
        Ok(())
    })
}

fn function<'d>(fields: &mut Fields<'d>, at: &dyn Display, namespace: Option<&str>) -> Result<DeclaredTool<'d>> {
    let own = fields.json_text("name", at)?;
    let named = namespace.map(|namespace| {
        let name = own.text().unwrap_or_default().into_owned();
        let sent = sent_name(Some(namespace), Cow::Borrowed(&name)).into_owned();
        NamedTool { sent, kind: CallKind::Function, name, namespace: Some(namespace.to_owned()) }
    });
    // Tools whose loading is deferred are sent: only their own API searches for them.
    fields.take("defer_loading");
    let tool = Tool {
        name: named.as_ref().map_or(own, |named| Raw::quoted(&named.sent)),
        description: fields.raw("description"),
        parameters: fields.raw("parameters"),
        // Other formats are not strict unless they are told to.
        strict: (fields.take("strict").map(RawValue::get) == Some("true")).then_some(true),
        cache: None,
    };
    Ok(DeclaredTool { tool, named })
}

fn custom<'d>(fields: &mut Fields<'d>, at: &dyn Display, namespace: Option<&str>) -> Result<DeclaredTool<'d>> {
    let name = fields.text("name", at)?;
    let mut description = fields.word("description").unwrap_or_default().into_owned();
    fields.take("defer_loading");
    if let Some(format) = fields.take("format") {
        let mut format = Fields::read(format.get(), &format_args!("{at}.format"))?;
        if let Some(grammar) = format.word("definition") {
            let syntax = format.word("syntax").unwrap_or_default();
            description.push_str(&format!("\n\nThe input follows this grammar ({syntax}):\n{grammar}"));
        }
    }
    let sent = sent_name(namespace, name.clone()).into_owned();
    let tool = Tool {
        name: Raw::quoted(&sent),
        description: Some(Raw::quoted(&description)).filter(|text| !text.is_blank()),
        parameters: Raw::parse(TEXT_INPUT),
        strict: None,
        cache: None,
    };
    let namespace = namespace.map(str::to_owned);
    Ok(DeclaredTool {
        tool,
        named: Some(NamedTool { sent, kind: CallKind::Custom, name: name.into_owned(), namespace }),
    })
}

fn tool_search<'d>(fields: &mut Fields<'d>) -> DeclaredTool<'d> {
    let tool = Tool {
        name: Raw::quoted(TOOL_SEARCH),
        description: fields.raw("description"),
        parameters: fields.raw("parameters"),
        strict: None,
        cache: None,
    };
    DeclaredTool { tool, named: Some(own_name(TOOL_SEARCH, CallKind::ToolSearch)) }
}

fn of_built_in((name, kind, description, schema): &'static BuiltIn) -> DeclaredTool<'static> {
    let tool = Tool {
        name: Raw::quoted(name),
        description: Some(Raw::quoted(description)),
        parameters: Raw::parse(schema),
        strict: None,
        cache: None,
    };
    DeclaredTool { tool, named: Some(own_name(name, *kind)) }
}

fn own_name(name: &str, kind: CallKind) -> NamedTool {
    NamedTool { sent: name.to_owned(), kind, name: name.to_owned(), namespace: None }
}

/// Reads `tool_choice`, which may also select some of the tools.
///
/// # Errors
/// 400 for a choice that is none, and for one of a tool that cannot be sent.
pub(super) fn read_tool_choice<'d>(raw: &'d str, request: &mut ModelRequest<'d>) -> Result<()> {
    let refuse = || wrong(&"tool_choice", "`auto`, `none`, `required`, or an object that names a tool");
    if let Some(word) = serde_json::from_str::<&RawValue>(raw).ok().and_then(text_of) {
        request.tool_choice = Some(mode(&word).ok_or_else(refuse)?);
        return Ok(());
    }
    let mut fields = Fields::read(raw, &"tool_choice").map_err(|_| refuse())?;
    let kind = fields.text("type", &"tool_choice")?;
    if kind == "allowed_tools" {
        let mut allowed = Vec::new();
        let tools = fields.take("tools").map_or("[]", RawValue::get);
        each(tools, &"tool_choice.tools", |index, mut fields: Fields<'d>| {
            allowed.push(chosen(&mut fields, &format_args!("tool_choice.tools[{index}]"))?.into_owned());
            Ok(())
        })?;
        request.tools.retain(|tool| tool.name.text().is_some_and(|name| allowed.iter().any(|one| *one == name)));
        request.tool_choice = Some(mode(&fields.text("mode", &"tool_choice")?).ok_or_else(refuse)?);
        return Ok(());
    }
    let mut fields = Fields::read(raw, &"tool_choice")?;
    let name = chosen(&mut fields, &"tool_choice")?;
    let is_sent = request.tools.iter().any(|tool| tool.name.text().as_deref() == Some(name.as_ref()));
    if !is_sent {
        let message = format!(
            "`tool_choice` names the tool `{name}`, which this model's provider does not have. \
             Choose a function or a custom tool of `tools`, or `auto`."
        );
        return Err(Error::caller(400, "invalid_value", message).at("tool_choice"));
    }
    request.tool_choice = Some(ToolChoice::Tool(Raw::quoted(&name)));
    Ok(())
}

/// The name under which a chosen tool is sent: its own, or its type.
fn chosen<'d>(fields: &mut Fields<'d>, at: &dyn Display) -> Result<Cow<'d, str>> {
    let kind = fields.text("type", at)?;
    let namespace = fields.word("namespace");
    let name = fields.word("name").unwrap_or(kind);
    Ok(sent_name(namespace.as_deref(), name))
}

fn mode(word: &str) -> Option<ToolChoice<'static>> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

/// Reads `text`: the form of the output, and what has no place elsewhere.
///
/// # Errors
/// 400 naming the field that violates the format.
pub(super) fn read_text<'d>(raw: &'d str, unmapped: &mut UniqueNames<'_>) -> Result<Option<ResponseFormat<'d>>> {
    let mut fields = Fields::read(raw, &"text")?;
    let format = fields.take("format");
    if fields.word("verbosity").is_some_and(|verbosity| verbosity != "medium") {
        unmapped.note("text.verbosity");
    }
    fields.rest().for_each(|name| unmapped.note(format!("text.{name}")));
    let Some(format) = format else { return Ok(None) };
    let at = "text.format";
    let mut fields = Fields::read(format.get(), &at)?;
    match fields.text("type", &at)?.as_ref() {
        "text" => Ok(None),
        "json_object" => Ok(Some(ResponseFormat::Json)),
        "json_schema" => {
            let schema = fields.raw("schema").ok_or_else(|| wrong(&"text.format.schema", "a JSON schema"))?;
            let strict = fields.take("strict").map(|raw| raw.get() == "true");
            if fields.raw("description").is_some() {
                unmapped.note("text.format.description");
            }
            Ok(Some(ResponseFormat::Schema { name: fields.raw("name"), schema, strict }))
        }
        _ => Err(wrong(&"text.format.type", "`text`, `json_object` or `json_schema`")),
    }
}
