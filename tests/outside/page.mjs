// The page of the example app: makes the SDK's client from the settings in the page, and finishes a sign-in at the callback's path.
// The tests do the rest through `window.stack`, as the app's own code would.

import { StackClientApp } from 'stack-sdk';

const settings = JSON.parse(document.getElementById('settings').textContent);
const at = (path) => `${settings.prefix}${path}`;

const app = new StackClientApp({
  baseUrl: settings.baseUrl,
  projectId: settings.projectId,
  publishableClientKey: settings.publishableClientKey,
  tokenStore: 'cookie',
  redirectMethod: 'window',
  urls: {
    handler: at('/handler'),
    home: at('/'),
    signIn: settings.signIn ?? at('/'),
    afterSignIn: at('/?signed=in'),
    afterSignUp: at('/?signed=up'),
    afterSignOut: at('/?signed=out'),
    oauthCallback: at('/handler/oauth-callback'),
    error: at('/handler/error'),
  },
  // The first SDK knows neither option; it reports page views whether an app likes it or not.
  analytics: { enabled: false },
  devTool: false,
});

window.outcome = null;
if (location.pathname === at('/handler/oauth-callback')) {
  app.callOAuthCallback().then(
    (done) => (window.outcome = { done }),
    (error) => (window.outcome = { done: false, code: error.errorCode ?? null, message: String(error.message) }),
  );
}
window.stack = app;
