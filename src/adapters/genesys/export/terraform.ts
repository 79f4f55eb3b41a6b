import type { DataAction } from "./data-action.ts";

/**
 * Returns a data action as a `genesyscloud_integration_action` of the Genesys Cloud Terraform provider. The integration
 * is the module's variable `integration_id`.
 */
export function terraformFromDataAction({ name, secure, config, contract }: DataAction): string {
  const { request, response } = config;
  return `resource "genesyscloud_integration_action" "${name}" {
  name                   = ${quoted(name)}
  category               = "Jackfield"
  integration_id         = var.integration_id
  secure                 = ${secure}
  config_timeout_seconds = ${config.timeoutSeconds}

  contract_input  = ${quoted(JSON.stringify(contract.input.inputSchema))}
  contract_output = ${quoted(JSON.stringify(contract.output.successSchema))}

  config_request {
    request_url_template = ${quoted(request.requestUrlTemplate)}
    request_type         = ${quoted(request.requestType)}
    request_template     = ${quoted(request.requestTemplate)}
    headers = ${map(request.headers)}
  }

  config_response {
    translation_map = ${map(response.translationMap)}
    translation_map_defaults = ${map(response.translationMapDefaults)}
    success_template = ${quoted(response.successTemplate)}
  }
}
`;
}

function map(entries: Readonly<Record<string, string>>): string {
  const lines = Object.entries(entries).map(([key, value]) => `      ${quoted(key)} = ${quoted(value)}`);
  return `{\n${lines.join("\n")}\n    }`;
}

/** Returns a string literal of Terraform: JSON, with `${` and `%{` doubled to escape them. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(/[$%]\{/g, (start) => start.charAt(0) + start);
}
