import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // The parts of milsymbol that a CoT type can name; its index takes every standard and edition.
  resolve: { alias: { "milsymbol-parts": here("node_modules/milsymbol/index.mjs") } },
  build: {
    outDir: here("../build/console/dist"),
    emptyOutDir: true,
    assetsDir: "assets",
    // Of the libraries that are in it; served beside them.
    license: { fileName: "assets/licences.md" },
    // Nothing goes into the page itself: the policy that it is served with allows no inline code and no data: font.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      output: { entryFileNames: "assets/[name]-[hash].js", chunkFileNames: "assets/[name]-[hash].js" },
    },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
