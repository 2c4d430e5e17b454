import "./mantine";
import "./styles.css";
import "./panels.css";
import "./parts.css";
import "./texts.css";
import { createTheme, localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { ApiError } from "./api/client";
import { App } from "./app";
import "./lib/code";
import { SettingsProvider } from "./lib/settings";

// Most views have charts: their library is read while the first answers come.
void import("./ui/plot");

const base = "/ui";
if (!window.location.pathname.startsWith(`${base}/`) || window.location.pathname === `${base}/`) {
  window.history.replaceState(null, "", `${base}/overview${window.location.search}`);
}

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => !(error instanceof ApiError && error.status < 500) && failures < 2,
      refetchOnWindowFocus: true,
    },
  },
});

// Mantine's variables come from its style sheet and styles.css: the content security policy allows no <style> elements.
const theme = createTheme({ primaryColor: "blue", defaultRadius: "sm" });
const schemes = localStorageColorSchemeManager({ key: "watchbill-color-scheme" });

const root = document.getElementById("root");
if (!root) throw new Error("the page has no root element");
createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      colorSchemeManager={schemes}
      defaultColorScheme="auto"
      withCssVariables={false}
      withGlobalClasses={false}
    >
      <QueryClientProvider client={queries}>
        <SettingsProvider>
          <Router base={base}>
            <App />
          </Router>
        </SettingsProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
