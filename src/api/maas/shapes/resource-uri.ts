/** Where every address of the API begins: objects tell their own from here on, without the host. */
export const apiRoot = '/MAAS/api/2.0';
