"""skorch: PyTorch modules behind scikit-learn's interface, for small networks and for searches."""

import torch
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks import networks
from benchmarks.networks import with_geometry
from benchmarks.peers.pytorch import build_module, load_weights
from benchmarks.searching import GRID, N_FOLDS


class SearchedModule(nn.Module):
    """A module whose geometry skorch can set, parameter by parameter."""

    def __init__(self, network, weights=None, kernel_size=3, n_filters=None, pooling="max"):
        super().__init__()
        geometry = with_geometry(
            network, kernel_size=kernel_size, n_filters=n_filters or network.n_filters, pooling=pooling
        )
        self.layers = build_module(geometry)
        if weights is not None:
            load_weights(self.layers, geometry, weights)

    def forward(self, images):
        return self.layers(images)


def build_classifier(job, **arguments):
    """Build the classifier without what skorch adds by default: no fifth held out, nothing printed, no callbacks."""
    return NeuralNetClassifier(
        SearchedModule,
        module__network=job.network,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=networks.LEARNING_RATE,
        batch_size=job.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks="disable",
        verbose=0,
        **arguments,
    )


def prepare(job):
    """Return the function that does one round."""
    torch.set_num_threads(1 if job.task == "search" else job.n_threads)
    torch.manual_seed(0)
    images = torch.from_numpy(job.images).permute(0, 3, 1, 2).contiguous().numpy()
    return prepare_training(job, images) if job.task == "train" else prepare_search(job, images)


def prepare_training(job, images):
    """Return a function that trains one epoch by partial_fit."""
    classifier = build_classifier(job, module__weights=job.weights, max_epochs=1)

    def epoch():
        classifier.partial_fit(images, job.labels)
        losses = classifier.history[-1, "batches", :, "train_loss"]
        return sum(losses) / len(losses)

    return epoch


def prepare_search(job, images):
    """Return a function that searches the grid; n_threads processes share the fits."""
    classifier = build_classifier(job, max_epochs=job.search_epochs)
    grid = {f"module__{name}": values for name, values in GRID.items()}
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)

    def search():
        searcher = GridSearchCV(classifier, grid, cv=folds, n_jobs=job.n_threads, refit=False, error_score="raise")
        return searcher.fit(images, job.labels).best_score_

    return search
