-- A pump's readings of the 7 days before each day; hundredths are summed, so that no order changes a mean.
SELECT
    pump,
    day AS event_timestamp,
    sum(round(temperature * 100)::BIGINT)::BIGINT / count(*) / 100 AS mean_temperature,
    max_by(vibration, read_at) AS last_vibration,
    max(maker) AS maker,
    epoch(max(read_at))::BIGINT AS last_reading_epoch
FROM readings
JOIN days ON read_at >= day - INTERVAL 7 DAY AND read_at < day
GROUP BY pump, day
