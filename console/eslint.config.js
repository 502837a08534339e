import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", "**/*.mjs", "eslint.config.js", "vite.config.ts"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // No HTML from data, no code from text: the policy would stop it, this says so earlier.
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML"].map((property) => ({
          property,
        })),
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "no HTML from data" },
        { selector: "JSXAttribute[name.name='style']", message: "a class, not a style" },
      ],
      "no-eval": "error",
      eqeqeq: "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": "off",
      // uPlot declares a const enum, which does not exist when the page runs.
      "@typescript-eslint/no-unsafe-enum-assignment": "off",
    },
  },
);
