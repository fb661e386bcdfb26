"""Seconds and peak memory of fit, partial_fit and predict, on one thread."""

from benchmarks.images import SOURCES
from benchmarks.networks import NETWORKS
from sklearn_cnn import ConvNetClassifier

N_IMAGES = 1024
NAMES = ("A", "B", "C")


class OfEachNetwork:
    """One of the three networks, fitted, and images of one byte per pixel; both made in a process whose memory does not count."""

    params = NAMES
    param_names = ("network",)

    def setup_cache(self):
        made = {}
        for name in NAMES:
            images, labels, _ = SOURCES[name](N_IMAGES)
            images = images.reshape(len(images), -1).copy()
            classifier = ConvNetClassifier(
                **NETWORKS[name].parameters, batch_size=32, max_iter=1, random_state=0, n_jobs=1,
            )  # fmt: skip
            made[name] = classifier.fit(images, labels), images, labels
        return made

    def setup(self, made, name):
        self.classifier, self.images, self.labels = made[name]


class Speed(OfEachNetwork):
    """Of an epoch, and of a prediction, all checks included."""

    def time_fit(self, made, name):
        self.classifier.fit(self.images, self.labels)

    def time_partial_fit(self, made, name):
        self.classifier.partial_fit(self.images, self.labels)

    def time_predict(self, made, name):
        self.classifier.predict(self.images)


class Memory(OfEachNetwork):
    """The most that a process has held, libraries and images included."""

    def peakmem_fit(self, made, name):
        self.classifier.fit(self.images, self.labels)

    def peakmem_partial_fit(self, made, name):
        self.classifier.partial_fit(self.images, self.labels)

    def peakmem_predict(self, made, name):
        self.classifier.predict(self.images)
