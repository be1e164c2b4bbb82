//! Embeddings: OpenAI's `/embeddings` and Gemini's `:batchEmbedContents`, both ways. It knows no conversations.
