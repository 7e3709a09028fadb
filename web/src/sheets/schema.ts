// The part of JSON Schema (draft 2020-12) that forms are made of, and what a field begins with.

/** What a text or number means beyond its type; see the server's `live/sheets.py`. */
export type Format = "time" | "time-zone" | "weekdays" | "twin" | "point" | "labels" | "sheet" | "words" | "email";

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  format?: Format;
  /** The field that says of which twin or point, or the kind of sheet. */
  of?: string;
  enum?: readonly (string | number)[];
  anyOf?: readonly Schema[];
  properties?: Record<string, Schema>;
  required?: readonly string[];
  items?: Schema | false;
  prefixItems?: readonly Schema[];
  default?: unknown;
}

/** What a schema says once its references are followed; `null` among alternatives means it may be left out. */
export function resolved(schema: Schema, root: Schema): Schema {
  let found = schema;
  for (let depth = 0; found.$ref !== undefined && depth < 16; depth++) {
    const name = found.$ref.replace("#/$defs/", "");
    const { $ref: _, ...hints } = found;
    found = { ...root.$defs?.[name], ...hints };
  }
  if (found.anyOf !== undefined) {
    const some = found.anyOf.filter((one) => one.type !== "null");
    if (some.length === 1) return { ...resolved(some[0]!, root), default: found.default };
  }
  return found;
}

/** Whether a form can be made of it, or its text has to be written. */
export function isSimple(schema: Schema, root: Schema): boolean {
  const found = resolved(schema, root);
  return found.format === "words" || found.enum !== undefined || (found.anyOf === undefined && found.type !== undefined);
}

/** What a new field of a schema holds. */
export function emptyOf(schema: Schema, root: Schema): unknown {
  const found = resolved(schema, root);
  if (found.default !== undefined && found.default !== null) return structuredClone(found.default);
  if (found.prefixItems !== undefined) return found.prefixItems.map((one) => emptyOf(one, root));
  switch (found.type) {
    case "object": {
      const made: Record<string, unknown> = {};
      for (const name of found.required ?? []) made[name] = emptyOf(found.properties![name]!, root);
      return made;
    }
    case "array":
      return [];
    case "integer":
    case "number":
      return found.enum?.[0] ?? 0;
    case "boolean":
      return false;
    default:
      return found.format === "time" ? "06:00" : found.enum?.[0] ?? "";
  }
}

/** Whether a value may be left out, since it says what is taken anyway. */
export function isDefault(value: unknown, schema: Schema, root: Schema): boolean {
  const found = resolved(schema, root);
  return JSON.stringify(value ?? null) === JSON.stringify(found.default ?? null);
}
