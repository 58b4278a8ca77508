import { createRouter, createWebHistory } from "vue-router";

import { t } from "./messages/t";
import NetworkView from "./network/NetworkView.vue";

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: "/", name: "network", component: NetworkView },
    {
      path: "/station/:id",
      name: "station",
      // With its charts, and only when someone opens a station.
      component: () => import("./station/StationView.vue"),
      props: true,
    },
    {
      path: "/contacts",
      name: "contacts",
      component: () => import("./contact/ContactsView.vue"),
    },
    {
      path: "/:rest(.*)*",
      name: "not-found",
      component: () => import("./shell/NotFound.vue"),
    },
  ],
});

router.afterEach((to) => {
  const { id } = to.params;
  const place = typeof id === "string" ? `${id} · ` : "";
  document.title = place + t("app.name");
});
