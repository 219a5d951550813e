-- What a customer buys and how often, over the 90 days before each day.
-- Money is summed in whole cents, so that no order of addition changes a figure. Lines are first summed up by
-- customer and day: the windows then meet a tenth of the rows, each with sums that only need adding.
WITH bounds AS (
    SELECT min(day) - INTERVAL 90 DAY AS first_at, max(day) AS end_at FROM days
),
lines AS (
    SELECT
        purchases.customer_id,
        purchases.basket_id,
        purchases.event_at,
        round(purchases.amount * 100)::BIGINT AS cents,
        round((purchases.retail_discount + purchases.coupon_discount) * 100)::BIGINT AS discount,
        products.department,
        products.brand
    FROM purchases
    LEFT JOIN products USING (product_id)
    WHERE purchases.event_at >= (SELECT first_at FROM bounds)
      AND purchases.event_at < (SELECT end_at FROM bounds)
),
order_days AS (
    SELECT
        customer_id,
        date_trunc('day', event_at) AS ordered_on,
        epoch(max(event_at))::BIGINT AS ordered_epoch,
        count(DISTINCT basket_id) AS orders,
        count(*) AS items,
        sum(cents)::BIGINT AS cents,
        sum(discount)::BIGINT AS discount,
        coalesce(sum(cents) FILTER (department = 'GROCERY'), 0)::BIGINT AS grocery,
        coalesce(sum(cents) FILTER (department IN (
            'PRODUCE', 'MEAT', 'MEAT-PCKGD', 'SEAFOOD', 'SEAFOOD-PCKGD', 'DELI', 'SALAD BAR', 'PASTRY', 'FLORAL'
        )), 0)::BIGINT AS fresh,
        coalesce(sum(cents) FILTER (department = 'FUEL'), 0)::BIGINT AS fuel,
        coalesce(sum(cents) FILTER (brand = 'Private'), 0)::BIGINT AS private_label
    FROM lines
    GROUP BY customer_id, ordered_on
),
windows AS (
    SELECT
        customer_id,
        day,
        coalesce(sum(orders) FILTER (ordered_on >= day - INTERVAL 7 DAY), 0)::BIGINT AS orders_7d,
        coalesce(sum(orders) FILTER (ordered_on >= day - INTERVAL 14 DAY), 0)::BIGINT AS orders_14d,
        coalesce(sum(orders) FILTER (ordered_on >= day - INTERVAL 30 DAY), 0)::BIGINT AS orders_30d,
        coalesce(sum(orders) FILTER (ordered_on >= day - INTERVAL 60 DAY), 0)::BIGINT AS orders_60d,
        sum(orders)::BIGINT AS orders_90d,
        count(*) AS order_days,
        sum(items)::BIGINT AS items,
        coalesce(sum(items) FILTER (ordered_on >= day - INTERVAL 30 DAY), 0)::BIGINT AS items_30d,
        sum(cents)::BIGINT AS cents,
        sum(discount)::BIGINT AS discount,
        sum(grocery)::BIGINT AS grocery,
        sum(fresh)::BIGINT AS fresh,
        sum(fuel)::BIGINT AS fuel,
        sum(private_label)::BIGINT AS private_label,
        min(ordered_on) AS first_on,
        max(ordered_on) AS last_on,
        max(ordered_epoch) AS last_epoch
    FROM order_days
    JOIN days ON ordered_on >= day - INTERVAL 90 DAY AND ordered_on < day
    GROUP BY customer_id, day
)
SELECT
    customer_id,
    day AS event_timestamp,
    orders_7d AS order_count_7d,
    orders_14d AS order_count_14d,
    orders_60d AS order_count_60d,
    orders_90d AS order_count_90d,
    order_days AS order_days_90d,
    cents / 100 AS total_spend_90d,
    items / orders_90d AS items_per_order_90d,
    (items_30d / nullif(orders_30d, 0)) / (items / orders_90d) AS basket_size_trend,
    grocery / nullif(cents, 0) AS grocery_share_90d,
    fresh / nullif(cents, 0) AS fresh_share_90d,
    fuel / nullif(cents, 0) AS fuel_share_90d,
    private_label / nullif(cents, 0) AS private_label_share_90d,
    discount / nullif(cents + discount, 0) AS discount_share_90d,
    date_diff('day', first_on, day) AS days_observed_90d,
    date_diff('day', first_on, last_on) / nullif(order_days - 1, 0) AS mean_gap_days_90d,
    last_epoch AS last_purchase_epoch
FROM windows
