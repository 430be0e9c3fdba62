"""The switches of the HitPay simulator: one for every point its documents leave open."""

from dataclasses import dataclass

from local.simulators.settings import choice


@dataclass(frozen=True)
class HitPaySettings:
    """How HitPay behaves where its documents say nothing or contradict each other.

    created_status: the status of the answer to a new refund: 200 is documented, 201 is in an older
        description.
    refund_status: "null" is what older samples show for a refund that has succeeded.
    charge_refunds: items of a charge's `refunds`: whole refund objects, a part of them, or no such
        member. charge_refund_ids: whether they have the ids of the answers to instructions ("same")
        or ids of their own. charge_refunded_amount: whether the member exists.
    number_form: amounts as 50.00 ("fixed") or 50 ("shortest"), both JSON numbers, or as texts:
        "5000.00" ("text") or "5,000.00" ("grouped").
    currency_case: currencies as sgd or SGD.
    zero_decimal_form: 5000 ("integer") or 5000.00 ("two_decimals"), for JPY and similar currencies.
    provider_fee: the fee of each refund, in major units, such as "0.65"; null as in the samples.
        provider_fee_currency: by default the charge's.
    pending_counts: whether a pending refund is already in the charge's refunded amount.
    wrong_key_status: 403 with the sentence of HitPay's troubleshooting page, or 401.
    list_paging: "cursor" with meta.next_cursor; "link" with a URL only; "page" with current_page
        and next_page_url; "meta_page" with both of Laravel's numbers in meta.
    list_items: "short" without refunded_amount and refunds, or "full" as single charges are.
    list_default: what is listed if no status is asked for: all but partially refunded charges
        ("documented", as in HitPay's sample link), or "everything".
    """

    created_status: int = choice(200, 201)
    refund_status: str = choice("as_is", "null")
    charge_refunds: str = choice("full", "brief", "absent")
    charge_refund_ids: str = choice("same", "own")
    charge_refunded_amount: str = choice("present", "absent")
    number_form: str = choice("fixed", "shortest", "text", "grouped")
    currency_case: str = choice("lower", "upper")
    zero_decimal_form: str = choice("integer", "two_decimals")
    provider_fee: str | None = None
    provider_fee_currency: str | None = None
    one_refund_per_payment: bool = False
    pending_counts: bool = False
    wrong_key_status: int = choice(403, 401)
    list_paging: str = choice("cursor", "link", "page", "meta_page")
    list_items: str = choice("short", "full")
    list_default: str = choice("documented", "everything")
    clock_offset_seconds: int = 0
    webhook_url: str | None = None
    webhook_salt: str = "simulator-webhook-salt"
    webhook_copies: int = 1
    webhook_attempts: int = 3
    webhook_delay_ms: int = 0
