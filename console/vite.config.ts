import { defineConfig } from "vite";

// Built into the Python package, which serves it. Every address in the page is relative: it works at `/` of
// `safelight serve` and in any folder of a static site.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/safelight/web",
    emptyOutDir: true,
    target: "es2022",
    // No `data:` addresses and no inline script: the Content-Security-Policy allows neither.
    assetsInlineLimit: 0,
    // What the pages are made of, and under which licences.
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
