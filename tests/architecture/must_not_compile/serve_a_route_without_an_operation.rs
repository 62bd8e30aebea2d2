//! E0423: a listener serves an `ApiRouter` alone; it is made of endpoints, and each of them names its operation.

use avs_kms::http::ApiRouter;

pub fn forge<Router>(router: Router) -> ApiRouter {
    ApiRouter(router)
}
