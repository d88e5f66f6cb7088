"""What the model may look at: the thirty measurements of a sample's cell nuclei."""

from __future__ import annotations

from geartrain.features.declaring import feature_set, request

MEASURED = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)

features = feature_set(
    *(
        request(
            f"{statistic} {name}",
            owner="domain",
            description=f"{statistic} {name} of the nuclei in the sample",
            because="measured under the microscope, before the diagnosis is known",
        )
        for statistic in ("mean", "worst")
        for name in MEASURED
    ),
    *(
        request(
            f"{name} error",
            owner="domain",
            description=f"how much {name} varies between the nuclei",
            because="malignant nuclei differ more from each other",
        )
        for name in MEASURED
    ),
)
