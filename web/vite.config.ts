import { defineConfig } from "vite";

// The page is served by the Python package from any path, by a machine that may
// have no way to the internet: relative addresses, everything bundled.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../src/mirrorworld/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // a strict Content-Security-Policy allows no data: scripts or fonts
    chunkSizeWarningLimit: 1500,
  },
  server: {
    // `npm run dev` beside a running `mirrorworld up`. Open the address with the token there
    // first: its cookie belongs to 127.0.0.1, whatever the port. The server answers only to its
    // own Origin, so the proxy speaks as that.
    host: "127.0.0.1",
    proxy: {
      "/api": {
        target: "http://127.0.0.1:7700",
        changeOrigin: true,
        ws: true,
        headers: { origin: "http://127.0.0.1:7700" },
      },
    },
  },
});
