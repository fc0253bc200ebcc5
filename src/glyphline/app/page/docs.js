// Shows openapi.json: every endpoint with its parameters.

import { $, make } from "./dom.js";

$("example").textContent = `curl -F file=@sign.jpg '${new URL("api/read?format=text", location.href)}'`;

const description = await (await fetch("openapi.json")).json();
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [method, endpoint] of Object.entries(methods)) {
    const parameters = (endpoint.parameters ?? []).flatMap((parameter) => [
      make("dt", {}, make("code", {}, `?${parameter.name}=`)),
      make("dd", {}, `${parameter.description ?? ""} (default: ${parameter.schema.default ?? "none"})`),
    ]);
    const body = Object.entries(endpoint.requestBody?.content ?? {}).flatMap(([type, { schema }]) => [
      make("dt", {}, "body"), make("dd", {}, make("code", {}, type), ` ${fields(schema).join(", ")}`),
    ]);
    $("endpoints").append(make("article", {},
      make("h2", {}, make("span", { class: "method" }, method.toUpperCase()), " ", make("code", {}, path)),
      make("p", {}, endpoint.description ?? ""), ...(parameters.length + body.length ? [make("dl", {}, ...parameters, ...body)] : [])));
  }
}

function fields(schema) {
  const name = schema.$ref?.split("/").at(-1);
  return Object.keys((name ? description.components.schemas[name] : schema).properties ?? {});
}
