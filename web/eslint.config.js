import js from "@eslint/js";
import vue from "eslint-plugin-vue";
import globals from "globals";
import ts from "typescript-eslint";

const NO_SOCKETS = {
  selector: "NewExpression[callee.name=/^(WebSocket|EventSource)$/]",
  message: "Only src/live/connection.ts opens a socket.",
};
const NO_RAW_HTML = {
  selector: "AssignmentExpression[left.property.name=/^(inner|outer)HTML$/]",
  message: "Names come from strangers: set text, never markup.",
};

export default ts.config(
  { ignores: ["dist", "node_modules", "src/api/schema.d.ts"] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...vue.configs["flat/recommended"],
  {
    files: ["**/*.vue"],
    languageOptions: { parserOptions: { parser: ts.parser } },
  },
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      "max-lines": ["error", { max: 500 }],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      "no-restricted-syntax": ["error", NO_SOCKETS, NO_RAW_HTML],
      "vue/no-v-html": "error",
      // Formatting taste, not correctness: long attribute lists are readable either way.
      "vue/max-attributes-per-line": "off",
      "vue/singleline-html-element-content-newline": "off",
      "vue/html-self-closing": "off",
      "vue/html-indent": "off",
      "vue/html-closing-bracket-newline": "off",
      "vue/multiline-html-element-content-newline": "off",
      "no-undef": "off",
    },
  },
  {
    files: ["src/live/connection.ts"],
    rules: { "no-restricted-syntax": ["error", NO_RAW_HTML] },
  },
  {
    files: ["**/*.test.ts", "e2e/**"],
    languageOptions: { globals: { ...globals.node } },
    // A describe block is one function of many small tests.
    rules: {
      "max-lines-per-function": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
);
