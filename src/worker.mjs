// The entry module: hands the operator's YAML to the gateway, and is otherwise the gateway itself.
// The YAML is a module of its own, so that editing it needs no Rust.
import config from "../build/config.yaml";
export * from "../build/index.js";
export { default } from "../build/index.js";

globalThis.LLM_BRIDGE_CONFIG = config;
