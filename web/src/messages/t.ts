import { en, type MessageKey } from "./en";

type Holes<Text extends string> = Text extends `${string}{${infer Hole}}${infer Rest}`
  ? Hole | Holes<Rest>
  : never;

type Fill<Key extends MessageKey> = Holes<(typeof en)[Key]> extends never
  ? []
  : [fill: Record<Holes<(typeof en)[Key]>, string | number>];

/** The text of `key`. The compiler asks for exactly the values its braces name. */
export function t<Key extends MessageKey>(key: Key, ...[fill]: Fill<Key>): string {
  const values = fill as Record<string, string | number> | undefined;
  return en[key].replace(/\{(\w+)\}/g, (hole, name: string) => String(values?.[name] ?? hole));
}
