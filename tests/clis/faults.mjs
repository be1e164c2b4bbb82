// What goes wrong at a provider, in the words of each: for `fault` of `startFormats`.

/** A fault of its first `times` responses for which `when` holds. */
const first = (times, when, made) => {
  let left = times;
  return (asked) => (when(asked) && left-- > 0 ? made : null);
};
/** That the model has read the file, and that it has changed it. */
const isEditing = ({ step }) => step === 1;
const isEnding = ({ step }) => step >= 2;

const OPENAI_OVERFLOW = { status: 400, code: "context_length_exceeded", message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. Please reduce the length of the messages." };
/** The words with which a provider refuses a prompt that is longer than it takes. */
const OVERFLOW = {
  openai: OPENAI_OVERFLOW,
  responses: OPENAI_OVERFLOW,
  anthropic: { status: 400, message: "prompt is too long: 208310 tokens > 200000 maximum" },
  gemini: { status: 400, message: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)." },
};
/** The status of a provider that has no room for a request. */
const OVERLOADED = { openai: 503, anthropic: 529, gemini: 503, responses: 503 };

/** A conversation that is too long as soon as a tool has answered, until the agent begins one anew. */
const overflow = (provider) => {
  let refused = false;
  let isShort = false;
  return ({ step }) => {
    isShort ||= refused && step === 0;
    if (isShort || step === 0) return null;
    refused = true;
    return OVERFLOW[provider];
  };
};

/** Each fault, made for a provider. */
export const FAULTS = {
  /** A request that the provider does not take, for reasons that are none of the agent's. */
  refusal: () => first(Infinity, isEditing, { status: 400, message: "This request is not for us: reason 4711." }),
  /** The key of the gateway is not valid at the provider. */
  key: () => first(Infinity, isEditing, { status: 401, message: "Incorrect API key provided." }),
  limit: () => first(1, isEditing, { status: 429, message: "Rate limit reached. Please try again in 1s.", headers: { "retry-after": "1" } }),
  overload: (provider) => first(1, isEditing, { status: OVERLOADED[provider], message: "The engine is overloaded." }),
  overflow,
  /** The last answer ends in its middle, however often it is asked for. */
  cut: () => first(Infinity, isEnding, { cut: true }),
  /** The call of the tool that changes the file ends in its middle, once. */
  "cut call": () => first(1, isEditing, { cut: true }),
};
