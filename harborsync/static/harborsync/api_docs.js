"use strict";

// Every API answer to a logged-in browser carries the CSRF token that the next unsafe request needs, the schema included.
const header = "X-Harbor-CSRF-Token";
const page = document.getElementById("swagger-ui");
let token = "";

SwaggerUIBundle({
  url: page.dataset.schemaUrl,
  domNode: page,
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (token && (request.method || "GET") !== "GET") request.headers[header] = token;
    return request;
  },
  responseInterceptor: (response) => {
    token = response.headers[header.toLowerCase()] || token;
    return response;
  },
});
