"""Bringing features online: Spark's workers write to Redis what one process writes."""

import pytest
import redis

from include.features.materialize import compute_features
from include.features.online import materialize_online
from tests.servers import running_redis
from tests.shop import Shop, at, half_a_year, on

pytestmark = pytest.mark.spark


def test_the_workers_write_what_one_process_writes(on_spark, tmp_path):
    """Key by key and byte by byte; an older day brought afterwards replaces nothing."""
    (tmp_path / "shop").mkdir()
    shop = Shop(tmp_path / "shop", half_a_year(40))
    contents, counts = [], []
    with running_redis() as url:
        for number, settings in enumerate((shop.settings, on_spark(shop.settings))):
            own = settings.model_copy(
                update={"home": tmp_path / str(number), "online_store_url": f"{url[:-1]}{number}"}
            )
            compute_features(own, on("2017-05-18"), on("2017-05-20"), at("2017-06-01"))
            counts.append([materialize_online(own, on(f"2017-05-{day}")) for day in (20, 18)])
            client = redis.Redis.from_url(own.online_store_url)
            keys = [key for key in client.scan_iter() if client.type(key) == b"hash"]
            contents.append({key: client.hgetall(key) for key in keys})
            client.close()
    assert counts[0] == counts[1]
    assert len(contents[0]) > 30
    assert contents[0] == contents[1]
