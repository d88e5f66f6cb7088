"""What the model may look at: every number that the personnel system exports about the work.

That is how a first list of features is often made. One line of it is wrong, and the
domain expert's clauses find it: the line about shoes. Delete it, and build again.
"""

from __future__ import annotations

from geartrain.features.declaring import feature_set, request

features = feature_set(
    request(
        "workload",
        owner="domain",
        description="planned hours as a share of the contract's hours",
        because="who is planned for more than a week holds falls behind",
    ),
    request(
        "error_rate",
        owner="domain",
        description="errors found in a thousand pieces",
        because="errors are found, mended, and cost the time that the target needs",
    ),
    request(
        "training_hours",
        owner="domain",
        description="hours of training in the half-year",
        because="a machine that one was shown is set up faster",
    ),
    request(
        "peer_rating",
        missing_is_signal=True,
        owner="domain",
        description="mean rating by colleagues, from 1 to 5; none for people who have hardly been met",
        because="colleagues see what no counter counts",
    ),
    request(
        "tenure_years",
        owner="domain",
        description="years in the company",
        because="experience, up to a point",
    ),
    request("absence_days", owner="domain", description="days absent in the half-year"),
    request("site", type="category", owner="domain", description="the site, which sets its own targets"),
    request("shoe_size", owner="science", description="size of the safety shoes (EU)"),
)
