"""Memory and energy of a training, from the files and libraries that count them, which are made up here."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from distill.training import energy, peak_memory
from distill.training.costs import Costs, Spent

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def process(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(peak_memory, "_PROCESS", tmp_path)
    (tmp_path / "clear_refs").touch()
    return tmp_path


def peak(process: Path, kilobytes: int) -> None:
    (process / "status").write_text(f"Name:\tpython\nVmPeak:\t 999 kB\nVmHWM:\t  {kilobytes} kB\nVmRSS:\t 5 kB\n")


class Zone:
    """A counter under powercap."""

    def __init__(self, folder: Path, number: int, name: str, largest: int = 10**9):
        self.folder = folder / f"intel-rapl:{number}"
        self.folder.mkdir(parents=True)
        (self.folder / "name").write_text(f"{name}\n")
        (self.folder / "max_energy_range_uj").write_text(f"{largest}\n")
        self.stands_at(0)

    def stands_at(self, microjoules: int) -> None:
        (self.folder / "energy_uj").write_text(f"{microjoules}\n")


@pytest.fixture
def powercap(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(energy, "_POWERCAP", tmp_path / "powercap")
    return tmp_path / "powercap"


def test_the_peak_is_forgotten_and_then_read(process):
    peak(process, 2000)
    assert peak_memory.forget(CPU)
    assert (process / "clear_refs").read_text() == "5"
    peak(process, 3000)
    assert peak_memory.read(CPU) == 3_072_000


@pytest.mark.parametrize("gone", ["clear_refs", "status"])
def test_where_the_peak_cannot_be_forgotten_or_read_there_is_none(process, gone):
    peak(process, 2000)
    path = process / gone
    path.unlink()
    path.mkdir()
    assert not peak_memory.forget(CPU)
    assert Costs(CPU).spent().memory is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of a process")
def test_the_peak_of_this_process_rises_with_what_it_holds():
    assert peak_memory.forget(CPU)
    before = peak_memory.read(CPU)
    block = torch.ones(40_000_000, dtype=torch.uint8)
    assert peak_memory.read(CPU) >= before + 0.8 * block.nbytes


def test_packages_are_added_up_and_their_parts_are_not(powercap):
    zones = [Zone(powercap, 0, "package-0"), Zone(powercap, 1, "package-1"), Zone(powercap, 2, "psys")]
    Zone(powercap / "intel-rapl:0", 0, "core")
    meter = energy.Meter(CPU)
    for zone, microjoules in zip(zones, (3_000_000, 500_000, 9_000_000), strict=True):
        zone.stands_at(microjoules)
    meter.look()
    assert meter.joules == pytest.approx(3.5)


def test_a_counter_that_begins_anew_loses_nothing(powercap):
    zone = Zone(powercap, 0, "package-0", largest=9_999_999)
    zone.stands_at(8_000_000)
    meter = energy.Meter(CPU)
    zone.stands_at(1_000_000)
    meter.look()
    assert meter.joules == pytest.approx(3.0)


def test_without_a_readable_counter_there_is_no_energy(powercap):
    assert energy.Meter(CPU).joules is None
    zone = Zone(powercap, 0, "package-0")
    meter = energy.Meter(CPU)
    (zone.folder / "energy_uj").unlink()
    meter.look()
    assert meter.joules is None
    assert energy.Meter(CPU).joules is None


def test_a_gpu_is_asked_by_its_own_name(monkeypatch):
    told = {"GPU-b1": 5_000}
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=told.__getitem__,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="b1"))
    energy._nvml.cache_clear()
    meter = energy.Meter(GPU)
    told["GPU-b1"] = 7_500  # millijoules
    meter.look()
    assert meter.joules == pytest.approx(2.5)
    energy._nvml.cache_clear()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy.Meter(GPU).joules is None


def test_sittings_add_energy_and_keep_the_larger_memory(process, powercap):
    zone = Zone(powercap, 0, "package-0")
    peak(process, 4000)
    first = Costs(CPU)
    zone.stands_at(2_000_000)
    kept = first.state()
    peak(process, 1000)
    second = Costs(CPU)
    second.restore(kept)
    zone.stands_at(5_000_000)
    assert (second.spent().memory, second.spent().joules) == (4_096_000, pytest.approx(5.0))
    assert second.spent().columns == {"memory_mb": 4.096, "energy_wh": pytest.approx(5 / 3600)}


def test_a_sitting_that_nobody_measured_leaves_the_whole_unknown(process, powercap):
    peak(process, 4000)
    later = Costs(CPU)
    later.restore({"memory": None, "joules": None})
    assert later.spent() == Spent(None, None)
