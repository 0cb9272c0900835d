//! A request of each protocol with every member of it that can hold text.
//! `@n@` is personal data, in order; what stands elsewhere is never touched,
//! `~` too, which looks like personal data.

/// A protocol, the path by which it is known, and a request.
pub type Sample = (&'static str, &'static str, &'static str);

pub const SAMPLES: &[Sample] = &[
    (
        "openai-completions",
        "/v1/completions",
        r#"{"model":"~", "prompt":["one @0@","two @1@"],"suffix":"bye @2@","stop":["@3@"],"seed":4111111111111111,"user":"@4@"}"#,
    ),
    (
        "openai-completions",
        "/openai/deployments/x/embeddings?api-version=2024-10-21",
        r#"{"input":["@0@", "and @1@"],"model":"~","dimensions":8}"#,
    ),
    (
        "openai-responses",
        "/v1/responses",
        r#"{"model":"gpt-5","instructions":"you serve @0@","prompt":{"id":"~","version":"~","variables":{"who":"@1@","doc":{"type":"input_text","text":"@2@"}}},"input":[
 "bare @3@",
 {"type":"message","role":"user","content":"as text @4@"},
 {"type":"message","role":"user","id":"~","status":"~","content":[{"type":"input_text","text":"I am @5@"},{"type":"input_file","file_id":"~","filename":"cv @6@ (1).pdf"},{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,iVBORw0KGgo="}]},
 {"type":"message","role":"assistant","content":[{"type":"output_text","text":"hi @7@","annotations":[{"type":"~","file_id":"~","title":"@8@"}]},{"type":"refusal","refusal":"no @9@"}]},
 {"type":"function_call","call_id":"~","name":"~","arguments":"{\"to\":\"@10@\",\"n\":1.0}"},
 {"type":"function_call_output","call_id":"~","output":"{\"to\": \"@11@\"}"},
 {"type":"function_call_output","call_id":"~","output":[{"type":"input_text","text":"@12@"}]},
 {"type":"custom_tool_call","call_id":"~","name":"~","input":"for @13@"},
 {"type":"custom_tool_call_output","call_id":"~","output":"of @14@"},
 {"type":"reasoning","id":"~","summary":[{"type":"summary_text","text":"thinks of @15@"}],"content":[{"type":"reasoning_text","text":"and @16@"}],"encrypted_content":"~"},
 {"type":"file_search_call","queries":["where @17@"],"results":[{"file_id":"~","filename":"@18@","text":"found @19@","attributes":{"a":"@20@"}}]},
 {"type":"web_search_call","id":"~","action":{"type":"search","query":"who @21@","queries":["@22@"]}},
 {"type":"code_interpreter_call","container_id":"~","code":"x = '@23@'","outputs":[{"type":"logs","logs":"@24@"}]},
 {"type":"computer_call","call_id":"~","action":{"type":"type","text":"@25@"},"pending_safety_checks":[{"id":"~","code":"~","message":"@26@"}]},
 {"type":"local_shell_call","call_id":"~","action":{"type":"exec","command":["mail","@27@"],"env":{"WHO":"@28@"},"user":"@29@"}},
 {"type":"local_shell_call_output","id":"~","output":"@30@"},
 {"type":"shell_call","call_id":"~","action":{"commands":["mail @31@"]}},
 {"type":"shell_call_output","call_id":"~","output":[{"stdout":"@32@","stderr":"@33@"}]},
 {"type":"apply_patch_call","call_id":"~","operation":{"type":"update_file","path":"of @34@","diff":"+ @35@"}},
 {"type":"mcp_call","id":"~","server_label":"~","name":"~","arguments":"{\"q\":\"@36@\"}","output":"is @37@","error":"no @38@"},
 {"type":"mcp_list_tools","server_label":"~","tools":[{"name":"~","description":"~","input_schema":{"x":"~"}}]},
 {"type":"mcp_approval_request","id":"~","server_label":"~","name":"~","arguments":"{\"q\":\"@39@\"}"},
 {"type":"mcp_approval_response","approval_request_id":"~","approve":true,"reason":"as @40@ says"},
 {"type":"compaction","id":"~","encrypted_content":"~"},
 {"type":"item_reference","id":"~"},
 {"type":"image_generation_call","id":"~","result":"iVBORw0KGgo=","revised_prompt":"draw @41@"}],
 "tools":[{"type":"function","name":"~","description":"mails @42@","parameters":{"properties":{"to":{"description":"like @43@"}}}},{"type":"mcp","server_label":"~","authorization":"~","server_description":"of @44@"}],
 "text":{"format":{"type":"json_schema","name":"~","description":"of @45@","schema":{"const":"@46@"}}},"metadata":{"crm":"@47@"},"user":"@48@","safety_identifier":"@49@","prompt_cache_key":"@50@","store":true}"#,
    ),
    (
        "openai-responses",
        "/openai/v1/responses?api-version=preview",
        r#"{"model":"x","input":"I am @0@","unknown":{"deep":["@1@"]}}"#,
    ),
    (
        "anthropic",
        "/v1/messages",
        r#"{"model":"~","max_tokens":1024,"system":[{"type":"text","text":"you serve @0@","cache_control":{"type":"ephemeral"}}],"messages":[
 {"role":"user","content":"I am @1@"},
 {"role":"assistant","content":[{"type":"thinking","thinking":"of ~ and me","signature":"~"},{"type":"redacted_thinking","data":"~"},{"type":"text","text":"hi @2@","citations":[{"type":"char_location","cited_text":"@3@","document_title":"of @4@"},{"type":"web_search_result_location","encrypted_index":"~","url":"https://example.com/","title":"@5@","cited_text":"@6@"}]},
  {"type":"tool_use","id":"~","name":"~","input":{"to":"@7@","deep":[{"n":1.50,"cc":["@8@"]}]}},{"type":"server_tool_use","id":"~","name":"~","input":{"query":"@9@"}}]},
 {"role":"user","content":[{"type":"tool_result","tool_use_id":"~","content":"sent to @10@"},{"type":"tool_result","tool_use_id":"~","is_error":false,"content":[{"type":"text","text":"to @11@"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]},
  {"type":"document","title":"cv of @12@","context":"from @13@","source":{"type":"text","media_type":"text/plain","data":"all of @14@"}},
  {"type":"document","source":{"type":"content","content":[{"type":"text","text":"a part of @15@"}]}},
  {"type":"document","source":{"type":"file","file_id":"~"}},
  {"type":"search_result","source":"at @16@","title":"of @17@","content":[{"type":"text","text":"is @18@"}]},
  {"type":"web_search_tool_result","tool_use_id":"~","content":[{"type":"web_search_result","encrypted_content":"~","title":"of @19@","url":"https://example.com/"}]},
  {"type":"code_execution_tool_result","tool_use_id":"~","content":{"type":"code_execution_result","stdout":"out @20@","stderr":"err @21@","return_code":0,"content":[{"type":"code_execution_output","file_id":"~"}]}},
  {"type":"container_upload","file_id":"~"}]}],
 "tools":[{"name":"~","description":"mails @22@","input_schema":{"type":"object","properties":{"to":{"description":"like @23@"}}}}],"stop_sequences":["@24@"],"metadata":{"user_id":"@25@"},"thinking":{"type":"enabled","budget_tokens":1024}}"#,
    ),
    ("anthropic", "/v1/messages/count_tokens", r#"{"model":"~","messages":[{"role":"user","content":"I am @0@"}]}"#),
    (
        "anthropic",
        "/v1/messages/batches",
        r#"{"requests":[{"custom_id":"~","params":{"model":"~","max_tokens":9,"messages":[{"role":"user","content":"I am @0@"},{"role":"assistant","content":[{"type":"thinking","thinking":"~","signature":"~"},{"type":"text","text":"hi @1@"}]}]}}]}"#,
    ),
    (
        "gemini",
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        r#"{"systemInstruction":{"parts":[{"text":"you serve @0@"}]},"contents":[
 {"role":"user","parts":[{"text":"I am @1@"},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}},{"fileData":{"mimeType":"~","fileUri":"~"}}]},
 {"role":"model","parts":[{"thought":true,"text":"thinks of ~","thoughtSignature":"~"},{"functionCall":{"id":"~","name":"~","args":{"to":"@2@","l":["@3@"]}},"thoughtSignature":"~"},{"executableCode":{"language":"PYTHON","code":"x='@4@'"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"@5@"}}]},
 {"role":"user","parts":[{"functionResponse":{"id":"~","name":"~","response":{"result":{"who":"@6@"}}}}]}],
 "tools":[{"functionDeclarations":[{"name":"~","description":"mails @7@"}]}],"cachedContent":"~","labels":{"who":"@8@"},"generationConfig":{"seed":4111111111111111,"responseMimeType":"~","stopSequences":["@9@"]},"safetySettings":[{"category":"~","threshold":"~"}]}"#,
    ),
    (
        "gemini",
        "/v1beta/models/gemini-2.5-pro:generateContent",
        r#"{"system_instruction":{"parts":[{"text":"you serve @0@"}]},"contents":[{"parts":[{"text":"I am @1@"},{"text":"so ~","thought":true,"thought_signature":"~"},{"text":"so @2@","thought_signature":"~"},{"inline_data":{"mime_type":"image/png","data":"iVBORw0KGgo="}}]}]}"#,
    ),
    (
        "ollama",
        "/api/chat",
        r#"{"model":"~","keep_alive":"5m","options":{"seed":4111111111111111,"stop":["@0@"]},"messages":[{"role":"user","content":"I am @1@","images":["iVBORw0KGgo="]},{"role":"assistant","content":"hi @2@","thinking":"of @3@","tool_calls":[{"function":{"name":"~","arguments":{"to":"@4@"}}}]},{"role":"tool","tool_name":"~","content":"sent @5@"}],"tools":[{"type":"function","function":{"name":"~","description":"mails @6@"}}]}"#,
    ),
    (
        "ollama",
        "/api/generate",
        r#"{"model":"~","prompt":"I am @0@","suffix":"bye @1@","system":"serve @2@","template":"so @3@","images":["iVBORw0KGgo="]}"#,
    ),
    ("ollama", "/api/embed", r#"{"model":"~","input":["@0@","@1@"]}"#),
    (
        "rasa",
        "/webhooks/rest/webhook",
        r#"{"sender":"@0@","message":"I am @1@","metadata":{"page":{"user":"@2@"},"@3@":1}}"#,
    ),
    ("rasa", "/webhooks/rest/webhook", r#"{"sender":"u1","message":"/inform{\"email\": \"@0@\", \"n\": 2}"}"#),
    (
        "dialogflow-es",
        "/v2/projects/p/agent/sessions/s1:detectIntent",
        r#"{"queryInput":{"text":{"text":"I am @0@","languageCode":"~"}},"queryParams":{"timeZone":"~","payload":{"who":"@1@"},"contexts":[{"name":"~","lifespanCount":5,"parameters":{"who":"@2@"}}],"sessionEntityTypes":[{"name":"~","entities":[{"value":"@3@","synonyms":["@4@"]}]}]},"inputAudio":"UklGRgAAAABXQVZF"}"#,
    ),
    (
        "dialogflow-es",
        "/v2/projects/p/agent/sessions/s1:detectIntent",
        r#"{"query_input":{"event":{"name":"~","parameters":{"who":"@0@"},"language_code":"~"}}}"#,
    ),
    (
        "dialogflow-cx",
        "/v3/projects/p/locations/l/agents/a/sessions/s1:detectIntent",
        r#"{"queryInput":{"text":{"text":"I am @0@"},"languageCode":"~"},"queryParams":{"currentPage":"~","flowVersions":["~"],"parameters":{"who":"@1@"},"payload":{"who":"@2@"},"endUserMetadata":{"who":"@3@"},"webhookHeaders":{"x-who":"@4@"}}}"#,
    ),
    (
        "bot-framework",
        "/v3/directline/conversations/c1/activities",
        r#"{"type":"message","id":"~","replyToId":"~","timestamp":"~","serviceUrl":"~","channelId":"~","locale":"en-US","from":{"id":"@0@","name":"@1@","role":"user"},"recipient":{"id":"bot","name":"@2@"},"conversation":{"id":"~"},"membersAdded":[{"id":"@3@","name":"@4@"}],"text":"I am @5@","speak":"say @6@","summary":"of @7@","suggestedActions":{"actions":[{"type":"imBack","title":"@8@","value":"@9@","text":"@10@","displayText":"@11@"}]},
 "attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","name":"of @12@","content":{"type":"AdaptiveCard","body":[{"type":"TextBlock","text":"hi @13@"},{"type":"FactSet","facts":[{"title":"@14@","value":"@15@"}]}],"actions":[{"type":"Action.Submit","data":{"who":"@16@"}}]}},{"contentType":"image/png","contentUrl":"data:image/png;base64,iVBORw0KGgo="}],
 "entities":[{"type":"mention","text":"@17@"}],"value":{"who":"@18@"},"channelData":{"clientActivityID":"~","crm":"@19@"}}"#,
    ),
    (
        "mcp",
        "/mcp",
        r#"{"jsonrpc":"2.0","id":"~","method":"tools/call","params":{"name":"~","arguments":{"to":"@0@","deep":["@1@"]},"_meta":{"progressToken":"~"}}}"#,
    ),
    (
        "mcp",
        "/mcp",
        r#"{"jsonrpc":"2.0","id":7,"result":{"role":"user","model":"~","content":{"type":"text","text":"I am @0@"}}}"#,
    ),
    (
        "mcp",
        "/mcp",
        r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"https://example.com/of?who=@0@","name":"@1@"}}"#,
    ),
    // A chatbot of its own kind.
    (
        "json",
        "/bot",
        r#"{"text":"I am @0@","history":[{"who":"@1@","said":["@2@"]}],"note":"{\"in\":\"[\\\"@3@\\\"]\"}","@4@":true,"user":"@5@"}"#,
    ),
];
