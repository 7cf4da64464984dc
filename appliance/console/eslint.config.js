import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

export default defineConfig(globalIgnores(["dist", "described"]), {
  files: ["**/*.{ts,tsx}"],
  extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked, hooks.configs.flat.recommended],
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  rules: {
    // Numbers in a template are as clear as strings.
    "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    // An event handler may be asynchronous where it catches what fails.
    "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
    // Where text must never become markup.
    "no-restricted-syntax": [
      "error",
      { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "Show what is untrusted as text." },
      {
        selector: "MemberExpression[property.name=/^(innerHTML|outerHTML)$/]",
        message: "Show what is untrusted as text.",
      },
    ],
    "no-eval": "error",
  },
});
