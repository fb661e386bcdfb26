"""The order of the examples in the gallery: that of the guide, not of the alphabet."""

ORDER = (
    "weight_sharing",
    "duality",
    "padding",
    "stride",
    "equivariance",
    "invariance",
    "learned_filters",
    "augmentation",
    "normalisation_and_dropout",
    "mnist1d",
    "regression",
    "features",
    "grid_search",
    "halving",
    "larger_than_memory",
    "serving",
    "clusters",
)


class TeachingOrder:
    """Sort key of a file name; Sphinx-Gallery makes one of these per folder."""

    def __init__(self, source_folder):
        self.source_folder = source_folder

    def __call__(self, name):
        """Return the place of plot_<word>.py or <word>.py; new examples stand at the end."""
        word = name.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(word) if word in ORDER else len(ORDER), name)

    def __repr__(self):
        """Stand in Sphinx's record of the configuration, which must not change from run to run."""
        return "TeachingOrder"
