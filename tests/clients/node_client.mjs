// The node side of node_client.py: says one JSON object a line of what holds.

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

const { gateway, headers, text } = JSON.parse(process.argv[2]);
const baseURL = `${gateway}/v1`;
const messages = [{ role: "user", content: text }];
const parameters = {
  type: "object",
  properties: { text: { type: "string" }, urgent: { type: "boolean" } },
  required: ["text"],
  additionalProperties: false,
};
const called = JSON.stringify({ text, urgent: true });

function that(what, holds, otherwise = "") {
  console.log(JSON.stringify({ what, holds: Boolean(holds), otherwise: String(otherwise) }));
}

async function section(what, run) {
  try {
    await run();
  } catch (error) {
    that(what, false, error.stack);
  }
}

await section("openai", async () => {
  const client = new OpenAI({ baseURL, apiKey: "sk-test", maxRetries: 0, defaultHeaders: headers });
  const tools = [{ type: "function", function: { name: "write_to", parameters } }];

  const whole = await client.chat.completions.create({ model: "m-1", messages });
  that("openai, node: the values are back", whole.choices[0].message.content === `0: ${text}`);

  let said = "";
  for await (const chunk of await client.chat.completions.create({ model: "m-1", messages, stream: true }))
    said += chunk.choices[0]?.delta.content ?? "";
  that("openai, node, stream: the values are back", said === `0: ${text}`, said.length);

  const runner = client.chat.completions.stream({ model: "m-1", messages, tools });
  const [call] = (await runner.finalMessage()).tool_calls;
  that("openai, node, tools, stream: the arguments have the values", sameJson(call.function.arguments, called));

  const response = await client.responses.create({ model: "m-1", input: text });
  that("openai, node, responses: the values are back", response.output_text === text);

  said = "";
  let done;
  for await (const event of await client.responses.create({ model: "m-1", input: text, stream: true })) {
    if (event.type === "response.output_text.delta") said += event.delta;
    if (event.type === "response.completed") done = event.response.output[0].content[0].text;
  }
  that("openai, node, responses, stream: delta and end have the values", said === text && done === text, said.length);
});

await section("ai", async () => {
  const openai = createOpenAI({ baseURL, apiKey: "sk-test", headers });
  const tools = { write_to: tool({ description: "Writes to a customer.", inputSchema: jsonSchema(parameters) }) };
  for (const [name, model, before] of [["chat", openai.chat("m-1"), "0: "], ["responses", openai.responses("m-1"), ""]]) {
    const whole = await generateText({ model, messages, maxRetries: 0 });
    that(`ai, ${name}: the values are back`, whole.text === before + text);

    const pieces = [];
    for await (const piece of streamText({ model, messages, maxRetries: 0 }).textStream) pieces.push(piece);
    that(`ai, ${name}, stream: the values are back`, pieces.join("") === before + text, pieces.length);
    that(`ai, ${name}, stream: it came in pieces`, pieces.length > 10, pieces.length);

    const { toolCalls } = await generateText({ model, messages, tools, maxRetries: 0 });
    that(`ai, ${name}, tools: the input has the values`, sameJson(JSON.stringify(toolCalls[0].input), called));
    const calls = await streamText({ model, messages, tools, maxRetries: 0 }).toolCalls;
    that(`ai, ${name}, tools, stream: the input has the values`, sameJson(JSON.stringify(calls[0].input), called));
  }
});

function sameJson(one, other) {
  return JSON.stringify(JSON.parse(one)) === JSON.stringify(JSON.parse(other));
}
